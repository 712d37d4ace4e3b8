// SPDX-License-Identifier: GPL-2.0
/* budget: 2, lane: free */
/* A noun that is made up: its verbs in usage, dispatch, messages and completion, its columns in the tables of top. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/answer.h"
#include "agent/ctl/call.h"
#include "agent/ctl/complete.h"
#include "agent/ctl/top_columns.h"
#include "agent/ctl/usage.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

/* ---- the noun ---- */

static char ran[256]; /* what was called, with its arguments */

static int run_note(const struct ctl *c)
{
	snprintf(ran, sizeof(ran), "%s:%s", c->noun->name, c->verb->name);
	for (size_t i = 0; i < c->nr_args; i++) {
		strncat(ran, " ", sizeof(ran) - strlen(ran) - 1);
		strncat(ran, c->args[i], sizeof(ran) - strlen(ran) - 1);
	}
	return 42;
}

static void offer_fish(const struct ctl_offers *o)
{
	ctl_offer(o, "perch");
	ctl_offer(o, "pike");
	ctl_offer(o, "tench");
}

#define FISH                                                                                                                   \
	{                                                                                                                      \
		"pond_fish_total", NULL, NULL, "kind"                                                                          \
	}
#define PIKE                                                                                                                   \
	{                                                                                                                      \
		"pond_fish_total", "kind", "pike", NULL                                                                        \
	}
#define DEPTH                                                                                                                  \
	{                                                                                                                      \
		"pond_depth", NULL, NULL, NULL                                                                                 \
	}
#define WAIT                                                                                                                   \
	{                                                                                                                      \
		"pond_wait_seconds_bucket", NULL, NULL, "le"                                                                   \
	}

static const struct top_column added[] = {
	TOP_COLUMN("fish", "FISH/s", "fish_per_second", TOP_COUNT, 1, .series = FISH),
	TOP_COLUMN("pikes", "PIKE%", "pike_ratio", TOP_RATIO, 2, .how = TOP_PART, .series = PIKE, .of = { FISH }),
	TOP_COLUMN("wait", "WAIT", "wait_seconds", TOP_SECONDS, 3, .how = TOP_QUANTILE, .series = WAIT, .quantile = 0.5),
	{},
};
static const struct top_column own[] = {
	TOP_COLUMN("depth", "DEPTH", "depth_meters", TOP_COUNT, 1, .how = TOP_NOW, .series = DEPTH, .is_needed = true),
	TOP_COLUMN("scaled", "SCALED", "scaled", TOP_COUNT, 2, .series = FISH, .of = { PIKE, FISH }, .is_default = true),
	{},
};

static const struct ctl_verb pond_verbs[] = {
	CTL_SHOW,
	{ .name = "top", .help = "how deep", .run = ctl_run_top, .columns = own },
	{ .name = "fish catch", .args = "KIND [HOOK]", .help = "take one out", .run = run_note, .offer = offer_fish },
	{ .name = "fish count", .help = "without taking one out", .run = run_note },
	{ .name = "drain", .args = "INTO...", .help = "into one or more others", .run = run_note, .offer = ctl_offer_files },
	{},
};
static const struct ctl_verb frog_verbs[] = { { .name = "kiss", .help = "once", .run = run_note }, {} };
static const struct ctl_verb rain_verbs[] = { { .name = "", .help = "for an hour", .run = run_note }, {} };
static const struct ctl_verb sky_verbs[] = { { .name = "", .help = "all of it", .run = ctl_run_top }, {} };
static const struct top_column left[] = {
	TOP_COLUMN("cloud", "CLOUD/s", "clouds_per_second", TOP_COUNT, 0, .series = { "cloud_total", NULL, NULL, NULL }),
	{},
};

static const struct ctl_noun frog = { .name = "frog", .verbs = frog_verbs };
static const struct ctl_noun pond = { .name = "pond", .verbs = pond_verbs, .columns = added, .place = 2, .also = &frog };
static const struct ctl_noun rain = { .name = "rain", .verbs = rain_verbs, .columns = left, .place = 1 };
static const struct ctl_noun sky = { .name = "sky", .verbs = sky_verbs };
static const struct ctl_noun *const made_up[] = { &sky, &pond, &rain, NULL };

static const struct ctl_option made_up_options[] = {
	{ "sort", "KEY", NULL, 's', true, ctl_offer_keys },
	{ "once", NULL, "one table", 'o', true, NULL },
	{ "run-dir", "DIR", "of the agent", 'r', false, ctl_offer_directories },
	{},
};

static struct ctl new_call(void)
{
	return (struct ctl){ .nouns = made_up, .options = made_up_options, .agent = { "/nowhere", 100 } };
}

/* ---- what is printed ---- */

static char printed[8192];
static int stream, kept = -1;
static FILE *captured;

static void capture(int fd)
{
	fflush(NULL);
	stream = fd;
	captured = tmpfile();
	kept = dup(fd);
	dup2(fileno(captured), fd);
}

/* Into printed, lines with a space between them. */
static void end_capture(void)
{
	size_t n;

	fflush(NULL);
	dup2(kept, stream);
	close(kept);
	rewind(captured);
	n = fread(printed, 1, sizeof(printed) - 1, captured);
	printed[n] = '\0';
	while (n && printed[n - 1] == '\n')
		printed[--n] = '\0';
	for (char *c = printed; (c = strchr(c, '\n'));)
		*c = ' ';
	fclose(captured);
}

static size_t split(char *line, char **words)
{
	size_t n = 0;

	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words[n++] = word;
	return n;
}

static void calls(const char *text, const char *expected)
{
	char line[128], *words[16];
	struct ctl c = new_call();
	size_t n;

	snprintf(line, sizeof(line), "%s", text);
	n = split(line, words);
	ran[0] = '\0';
	is_u64(42, (unsigned int)ctl_call(&c, words, n), named("nestorctl runs: %s", text));
	is_str(expected, ran, named("nestorctl passes verb and arguments of: %s", text));
}

static void refuses(struct ctl c, const char *text, const char *expected)
{
	char line[128], *words[16];
	int status;
	size_t n;

	snprintf(line, sizeof(line), "%s", text);
	n = split(line, words);
	capture(STDERR_FILENO);
	status = ctl_call(&c, words, n);
	end_capture();
	is_u64(EXIT_USAGE, (unsigned int)status, named("nestorctl refuses: '%s'", text));
	is_str(expected, printed, named("nestorctl prints what is possible instead of: '%s'", text));
}

static void test_calls(void)
{
	struct ctl with_options = new_call();

	calls("rain", "rain:");
	calls("frog kiss", "frog:kiss");
	calls("pond fish catch pike", "pond:fish catch pike");
	calls("pond fish catch pike worm", "pond:fish catch pike worm");
	calls("pond fish count", "pond:fish count");
	calls("pond drain a b c d", "pond:drain a b c d");

	log_open("t", LOG_LEVEL_INFO);
	refuses(new_call(), "", "t: a command is missing; see nestorctl --help");
	refuses(new_call(), "lake fill", "t: there is no command lake fill; see nestorctl --help");
	refuses(new_call(), "pond", "t: pond takes show, top, fish or drain INTO...; see nestorctl --help");
	refuses(new_call(), "pond drain", "t: pond takes show, top, fish or drain INTO...; see nestorctl --help");
	refuses(new_call(), "pond fish", "t: pond fish takes catch KIND [HOOK] or count; see nestorctl --help");
	refuses(new_call(), "pond fish catch a b c", "t: pond fish takes catch KIND [HOOK] or count; see nestorctl --help");
	refuses(new_call(), "rain cats", "t: rain takes no argument; see nestorctl --help");
	with_options.has_top_options = true;
	refuses(with_options, "rain", "t: --sort and --once are for sky and pond top alone; see nestorctl --help");
	with_options.top.sort = "frob";
	refuses(with_options, "pond top", "t: --sort frob: must be one of depth, scaled, vm, container");
}

static void test_usage(void)
{
	static const char *const lines[] = {
		"  sky                   all of it ",
		"  ROOM show             what a room has measured, e.g. pond show ",
		"  pond top              how deep ",
		"  pond fish catch KIND [HOOK]   take one out ",
		"  pond drain INTO...    into one or more others ",
		"  frog kiss             once ",
		"  --sort KEY            sky: cloud, fish, pikes, wait, vm, container (container); pond top: depth, ",
		"                        scaled, vm, container (scaled) ",
		"  --run-dir DIR         of the agent ",
	};
	struct ctl c = new_call();

	capture(STDOUT_FILENO);
	ctl_usage(&c);
	end_capture();
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!ok(strstr(printed, lines[i]) != NULL, "nestorctl's usage has: %s", lines[i]))
			printf("#   usage: %s\n", printed);
	ok(!strstr(printed, "  pond show"), "nestorctl's usage has show of all rooms once");
}

/* @typed ends with the word that is completed, "." if nothing of it is there. */
static void completes(const char *typed, const char *expected)
{
	char line[128], *words[16];
	struct ctl c = new_call();
	size_t n;

	snprintf(line, sizeof(line), "%s", typed);
	n = split(line, words);
	if (!strcmp(words[n - 1], "."))
		words[n - 1] = "";
	capture(STDOUT_FILENO);
	ctl_complete(&c, words, n);
	end_capture();
	if (!ok(!strcmp(printed, expected), "nestorctl completes: %s", typed))
		printf("#   expected: %s\n#   got: %s\n", expected, printed);
}

static void test_completion(void)
{
	completes(".", "sky pond frog rain");
	completes("p", "pond");
	completes("pond .", "show top fish drain");
	completes("pond fish .", "catch count");
	completes("pond fish catch .", "perch pike tench");
	completes("pond fish catch p", "perch pike");
	completes("pond fish catch pike .", "");
	completes("pond fish count .", "");
	completes("pond drain .", ":file");
	completes("frog k", "kiss");
	completes("rain .", "");
	completes("--run-dir x pond fi", "fish");
	completes("--run-dir .", ":directory");
	completes("--", "--sort --once --run-dir");
	completes("pond top --", "--sort --once --run-dir");
	completes("rain --", "--run-dir");
	completes("pond top --sort .", "depth scaled vm container");
	completes("--sort .", "cloud fish pikes wait vm container");
}

/* ---- columns ---- */

#define SECOND 1000000000ULL
#define ROW "vm=\"\",container=\"a\""
#define UP "nestor_room_up{room=\"pond\"} 1\nnestor_room_up{room=\"rain\"} 1\n"
#define CAUGHT(kind, n) "pond_fish_total{kind=\"" kind "\"," ROW "} " n "\n"
#define WAITED(le, n) "pond_wait_seconds_bucket{" ROW ",op=\"a\",le=\"" le "\"} " n "\n"

static void value_is(struct top_table *table, const char *second, const char *key, double expected, const char *text)
{
	static const char first[] = UP CAUGHT("pike", "1") CAUGHT("perch", "5") WAITED("0.1", "0") WAITED("1", "0")
		WAITED("+Inf", "0");
	const struct top_order order = { .key = top_default_key(table), .filter = "" };
	struct top *t = top_new(table);
	const struct top_row *rows;
	size_t nr, total;
	double got;

	top_read(t, strdup(first), SECOND);
	top_read(t, strdup(second), 3 * SECOND);
	rows = top_rows(t, &order, &nr, &total);
	is_u64(1, nr, named("top has one row for %s", text));
	got = nr ? rows[0].values[top_find_key(table, key)] : -1;
	if (!ok(isnan(expected) ? isnan(got) : fabs(got - expected) < 1e-9, "top has the value of %s", text))
		printf("#   expected: %g, got: %g\n", expected, got);
	top_free(t);
}

static void test_columns(void)
{
	static const char second[] = UP CAUGHT("pike", "4") CAUGHT("perch", "14") WAITED("0.1", "4") WAITED("1", "9")
		WAITED("+Inf", "10") "pond_depth{" ROW "} 7\n";
	struct top_table *all = top_table_new(made_up, NULL, NULL);
	struct top_table *table = top_table_new(made_up, &pond, &pond_verbs[1]);
	struct top_order order = { .filter = "" };
	struct top *t = top_new(table);
	size_t nr, total;

	is_u64(4, (unsigned int)all->nr, "top has the columns of all nouns");
	is_str("cloud", all->columns[0].key, "top's first column is the one with the lowest place");
	is_str("rain", all->columns[0].room, "top's columns know their room");
	value_is(all, second, "fish", 6, "a rate of all series");
	value_is(all, second, "pikes", 0.25, "a share of a series");
	value_is(all, second, "wait", 1, "a quantile");
	value_is(all, second, "cloud", 0, "a column without series");
	value_is(all, UP CAUGHT("pike", "0") CAUGHT("perch", "14"), "fish", NAN, "a rate with one series that went back");
	value_is(table, second, "depth", 7, "a gauge");
	value_is(table, second, "scaled", 1.5, "a scaled rate");
	top_read(t, strdup(UP CAUGHT("pike", "4")), SECOND);
	top_rows(t, &order, &nr, &total);
	is_u64(0, total, "top has no row for a container without the needed series");
	top_free(t);
	top_table_free(all);
	top_table_free(table);
}

int main(void)
{
	test_calls();
	test_usage();
	test_completion();
	test_columns();
	return done_testing();
}
