// SPDX-License-Identifier: GPL-2.0
/* budget: 2, lane: free */
/* The parser of the exposition: what agent/base/metrics.c writes comes back as it was, and no line harms it. */
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "agent/lib/buf.h"
#include "agent/base/metrics.h"
#include "agent/lib/prom_parse.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

static void test_round_trip(void)
{
	static const char *const names[] = { "plain", "quote\"", "back\\slash", "line\nbreak", "a\\\"},{b=\"c\" 5", "{}", "" };
	struct metrics *m = metrics_new();
	struct family *f = metrics_family(m, "n_total", METRIC_COUNTER, "Help with a \\ in it.");
	struct prom_sample sample;
	struct buf out = {};
	unsigned int same = 0;
	char *pos;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		metrics_u64(f, metrics_labels(m, "vm", "v", "container", names[i], NULL), 18446744073709551615ULL - i);
	ok(!metrics_render(m, &out), "prom_parse: a text is rendered");
	pos = out.text;
	for (size_t i = 0; i < ARRAY_SIZE(names) && prom_next(&pos, &sample); i++)
		same += !strcmp(prom_label(&sample, "container"), names[i]) && !strcmp(prom_label(&sample, "vm"), "v") &&
			!strcmp(sample.name, "n_total") && sample.nr_labels == 2 &&
			strtoull(sample.value, NULL, 10) == 18446744073709551615ULL - i;
	is_u64(ARRAY_SIZE(names), same, "prom_parse: names and values are parsed as they were rendered");
	ok(!prom_next(&pos, &sample), "prom_parse: parsing ends at the end of the text");
	buf_free(&out);
	metrics_free(m);
}

/* Its copy in memory of its own size, so that a byte too far is seen. */
static bool is_sample(const char *line)
{
	_free_ char *text = strdup(line);
	char *pos = text;
	struct prom_sample sample;

	return prom_next(&pos, &sample);
}

static void test_lines(void)
{
	static const char *const good[] = { "a 1",     "a{} 1",		  "a{b=\"\"} 1",    "a{b=\"c\",} 1",
					    "a 1e-06", "a{b=\"c\"} +Inf", "a{b=\"c\"} NaN", "a -3" };
	static const char *const bad[] = {
		"",
		"# HELP a b",
		"a",
		"a ",
		" 1",
		"a b",
		"a{",
		"a{b",
		"a{b=",
		"a{b=\"",
		"a{b=\"c",
		"a{b=\"c\"",
		"a{b=\"c\"}",
		"a{b=\"c\"}1",
		"a{b=\"c\" 1",
		"a{b=\"c\\",
		"a{b=c} 1",
		"{b=\"c\"} 1",
		"a{b=\"c\"} 1 x",
		"a{b=\"c\"}x1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(is_sample(good[i]), "prom_parse: accepts the line '%s'", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok(!is_sample(bad[i]), "prom_parse: rejects the line '%s'", bad[i]);
	ok(is_sample("a{\n# x\n\nb 1\n"), "prom_parse: a sample after bad lines is found");
}

static void test_labels(void)
{
	struct prom_sample sample;
	char text[1024] = "a{";
	char *pos = text;

	for (int i = 0; i < PROM_LABELS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%sl%d=\"%d\"", i ? "," : "", i, i);
	strcat(text, "} 7");
	ok(prom_next(&pos, &sample) && sample.nr_labels == PROM_LABELS_MAX,
	   "prom_parse: a sample with the maximum of labels is parsed");
	is_str("15", prom_label(&sample, "l15"), "prom_parse: the last of 16 labels is found");
	is_str("", prom_label(&sample, "l16"), "prom_parse: a missing label is empty");
	ok(!is_sample(
		   "a{a=\"\",b=\"\",c=\"\",d=\"\",e=\"\",f=\"\",g=\"\",h=\"\",i=\"\",j=\"\",k=\"\",l=\"\",m=\"\",n=\"\",o=\"\","
		   "p=\"\",q=\"\"} 1"),
	   "prom_parse: a sample with 17 labels is rejected");
}

int main(void)
{
	test_round_trip();
	test_lines();
	test_labels();
	return done_testing();
}
