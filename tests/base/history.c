// SPDX-License-Identifier: GPL-2.0
// budget: 20, lane: free
/* The history that the agent keeps for the page (agent/base/history.c): rates, who has a place in it, its bounds. */
#include <stdlib.h>

#include "agent/base/history.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define MS 1700000000000ULL
#define SECOND 1000000000ULL

static const struct history_quantity some[] = { { "bytes", "bytes", "b", true }, { "ios", "I/Os", "i", true }, {} },
				     others[] = { { "else", "things", "e", true }, { "limit", "bytes/s", "l", false }, {} };
static const struct history_quantity *const lists[] = { some, NULL,
							others }; /* as of three rooms, of which one tells nothing */

static __u64 now; /* in seconds */

static void begin(struct history *h)
{
	history_begin(h, MS + now * 1000, now * SECOND);
}

static void end(struct history *h)
{
	history_end(h);
	now += HISTORY_SECONDS;
}

static const json_t *find_owner(const json_t *shown, const char *vm, const char *container)
{
	const json_t *owner;
	size_t i;

	json_array_foreach (json_object_get(shown, "owners"), i, owner)
		if (!strcmp(json_string_value(json_object_get(owner, "vm")), vm) &&
		    !strcmp(json_string_value(json_object_get(owner, "container")), container))
			return owner;
	return NULL;
}

/* "1 2.5 -": what is shown of a quantity; "none" if it is not. */
static const char *values(const struct history *h, __u64 after, const char *vm, const char *container, const char *quantity)
{
	static char text[4096];
	json_t *shown = history_show(h, after);
	const json_t *owner = find_owner(shown, vm, container), *list, *v;
	size_t i, len = 0;

	list = json_object_get(json_object_get(owner, "values"), quantity);
	strcpy(text, list ? "" : "none");
	json_array_foreach (list, i, v)
		len += (size_t)(json_is_null(v)
					? snprintf(text + len, sizeof(text) - len, "%s-", i ? " " : "")
					: snprintf(text + len, sizeof(text) - len, "%s%g", i ? " " : "", json_number_value(v)));
	json_decref(shown);
	return text;
}

static void sample(struct history *h, const char *container, const char *quantity, __u64 value)
{
	begin(h);
	history_counter(h, "", container, quantity, value);
	end(h);
}

static void test_rates(void)
{
	struct history *h = history_new(lists, ARRAY_SIZE(lists));

	sample(h, "a", "bytes", 1000);
	is_str("none", values(h, 0, "", "a", "bytes"), "history: one sample of a counter gives no rate");
	sample(h, "a", "bytes", 1000 + 5 * 300);
	sample(h, "a", "bytes", 1000 + 5 * 300);
	is_str("- 300 0", values(h, 0, "", "a", "bytes"), "history: two samples of a counter give a rate per second");
	sample(h, "a", "bytes", 50);
	sample(h, "a", "bytes", 60);
	is_str("- 300 0 - 2", values(h, 0, "", "a", "bytes"), "history: a counter that went down gives no rate");
	sample(h, "a", "else", 1);
	sample(h, "a", "bytes", 1060);
	sample(h, "a", "bytes", 1070);
	is_str("- 300 0 - 2 - - 2", values(h, 0, "", "a", "bytes"),
	       "history: a counter gives no rate after samples that lack it");
	is_str("- 2", values(h, 6, "", "a", "bytes"), "history: a reader that names a sample gets only later ones");
	is_str("- 300 0 - 2 - - 2", values(h, 99, "", "a", "bytes"),
	       "history: a reader that names an unknown sample gets all samples");
	is_str("none", values(h, 8, "", "a", "bytes"), "history: a reader that names the last sample gets none");

	now += 100; /* it was late */
	sample(h, "a", "bytes", 1070 + 105);
	is_str("1", values(h, 8, "", "a", "bytes"), "history: a rate after a late sample is over the time that passed");
	begin(h);
	history_counter(h, "", "a", "bytes", 1170);
	history_counter(h, "", "a", "bytes", 15);
	history_gauge(h, "", "a", "limit", 7);
	history_gauge(h, "", "a", "limit", 0.5);
	end(h);
	is_str("2", values(h, 9, "", "a", "bytes"), "history: parts of a counter add up");
	is_str("7.5", values(h, 9, "", "a", "limit"), "history: parts of a gauge add up");
	history_free(h);
}

static void test_machine(void)
{
	struct history *h = history_new(lists, ARRAY_SIZE(lists));

	for (__u64 i = 0; i < 2; i++) {
		begin(h);
		history_counter(h, "", "a", "bytes", i * 10);
		history_counter(h, "vm", "", "bytes", i * 100);
		history_counter(h, "vm", "in it", "bytes", i * 1000);
		history_gauge(h, "", "a", "limit", 7);
		end(h);
	}
	is_str("- 22", values(h, 0, "", "", "bytes"),
	       "history: the machine is the sum of containers and VMs, without containers in VMs");
	is_str("none", values(h, 0, "", "", "limit"), "history: limits are not summed for the machine");
	is_str("- 200", values(h, 0, "vm", "in it", "bytes"), "history: a container in a VM has values of its own");
	history_free(h);
}

static void test_latency(void)
{
	struct hist reads = {}, writes = {};
	struct history *h = history_new(lists, ARRAY_SIZE(lists));
	json_t *shown;
	char *text;

	for (unsigned int i = 0; i < 3; i++) {
		begin(h);
		history_counter(h, "", "a", "bytes", i);
		history_latency(h, "", "a", &reads);
		history_latency(h, "", "a", &writes);
		end(h);
		reads.slots[3] += 2;
		writes.slots[28] += 5;
	}
	shown = history_show(h, 1);
	text = json_dumps(json_object_get(find_owner(shown, "", "a"), "latency"), JSON_COMPACT);
	is_str("[[3,2,28,5],[3,2,28,5]]", text, "history: latencies of reads and writes are merged, as bucket and count");
	free(text);
	text = json_dumps(json_object_get(find_owner(shown, "", ""), "latency"), JSON_COMPACT);
	is_str("[[3,2,28,5],[3,2,28,5]]", text, "history: the machine has its containers' latencies");
	free(text);
	json_decref(shown);
	history_free(h);
}

/* "5 10": when policy changed, in seconds since the first sample. */
static const char *marks(const struct history *h, __u64 after)
{
	static char text[4096];
	json_t *shown = history_show(h, after);
	size_t i, len = 0;
	json_t *ms;

	text[0] = '\0';
	json_array_foreach (json_object_get(shown, "policy_changes"), i, ms)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", i ? " " : "",
					(long long)(json_integer_value(ms) - (json_int_t)MS) / 1000);
	json_decref(shown);
	return text;
}

static void test_marks(void)
{
	struct history *h = history_new(lists, ARRAY_SIZE(lists));

	now = 0;
	is_str("", marks(h, 0), "history: no policy change is marked before the first sample");
	sample(h, "a", "bytes", 0);
	is_str("", marks(h, 0), "history: a sample marks no policy change");
	history_mark(h, MS + 2000);
	sample(h, "a", "bytes", 0);
	history_mark(h, MS + 7000);
	is_str("2 7", marks(h, 0), "history: each policy change is marked with its time");
	is_str("2 7", marks(h, 2), "history: a reader of the last samples alone gets policy changes too");
	for (unsigned int i = 2; i < HISTORY_SAMPLES + 1; i++)
		sample(h, "a", "bytes", 0);
	is_str("7", marks(h, 0), "history: a policy change is dropped with the samples around it");
	for (unsigned int i = 1; i <= HISTORY_MARKS + 3; i++)
		history_mark(h, MS + (now + i) * 1000);
	ok(!strncmp(marks(h, 0), "909 910 ", 8), "history: only the last %u policy changes are kept; got %.8s", HISTORY_MARKS,
	   marks(h, 0));
	history_free(h);
}

static void tell_many(struct history *h, unsigned int nr, __u64 round)
{
	char name[250];

	for (unsigned int i = 0; i < nr; i++) {
		memset(name, 'x', sizeof(name));
		snprintf(name + 190, sizeof(name) - 190, "%u", i);
		history_counter(h, "", name, "bytes", round * i);
		history_counter(h, "", name, "ios", round * i);
	}
}

static void test_busiest(void)
{
	struct history *h = history_new(lists, ARRAY_SIZE(lists));
	json_t *shown;
	char name[16];

	for (__u64 round = 0; round < 4; round++) {
		begin(h);
		for (unsigned int i = 1; i <= 200; i++) {
			snprintf(name, sizeof(name), "c%u", i);
			history_counter(h, "", name, "bytes", round * i * i);
		}
		end(h);
	}
	shown = history_show(h, 0);
	is_u64(HISTORY_OWNERS + 1, json_array_size(json_object_get(shown, "owners")),
	       "history: 64 owners and the machine have a place");
	ok(find_owner(shown, "", "c200") && find_owner(shown, "", "c150"), "history: the busiest owners have a place");
	ok(!find_owner(shown, "", "c1") && !find_owner(shown, "", "c60"), "history: idle owners have no place");
	json_decref(shown);

	/* Of equal business nobody takes another's place. */
	for (__u64 round = 4; round < 4 + HISTORY_SAMPLES; round++) {
		begin(h);
		for (unsigned int i = 1; i <= 200; i++) {
			snprintf(name, sizeof(name), "c%u", i);
			history_counter(h, "", name, "bytes", round * 200 * 200);
		}
		end(h);
	}
	shown = history_show(h, 0);
	ok(find_owner(shown, "", "c200") != NULL, "history: an owner keeps its place against equally busy ones");
	is_u64(HISTORY_SAMPLES, json_array_size(json_object_get(shown, "times")), "history: 15 minutes of samples are kept");
	json_decref(shown);

	sample(h, "c200", "bytes", 1); /* all others have gone */
	for (unsigned int i = 0; i < HISTORY_SAMPLES + 1; i++)
		sample(h, "new", "bytes", 1000 * i);
	shown = history_show(h, 0);
	ok(!find_owner(shown, "", "c200"), "history: a removed owner loses its place when its last sample is old");
	ok(find_owner(shown, "", "new") != NULL, "history: a new owner gets the place of a removed one");
	json_decref(shown);
	history_free(h);
}

static void test_quantities(void)
{
	struct history *h = history_new(lists, ARRAY_SIZE(lists));
	json_t *shown = history_show(h, 0);
	char *text = json_dumps(json_object_get(shown, "quantities"), JSON_COMPACT);

	is_str("[{\"name\":\"bytes\",\"unit\":\"bytes/s\",\"doc\":\"b\"},{\"name\":\"ios\",\"unit\":\"I/Os/s\",\"doc\":\"i\"},"
	       "{\"name\":\"else\",\"unit\":\"things/s\",\"doc\":\"e\"},{\"name\":\"limit\",\"unit\":\"bytes/"
	       "s\",\"doc\":\"l\"}]",
	       text, "history: quantities of all rooms are listed with the units of their values");
	free(text);
	json_decref(shown);
	for (unsigned int i = 0; i < 2; i++) {
		begin(h);
		history_counter(h, "", "a", "bytes", i);
		history_counter(h, "", "a", "unheard", i);
		history_gauge(h, "", "a", "unheard", i);
		history_gauge(h, "", "a", "ios", i);
		history_counter(h, "", "a", "limit", i);
		end(h);
	}
	is_str("none", values(h, 0, "", "a", "unheard"), "history: a quantity that no room lists is left out");
	is_str("none", values(h, 0, "", "a", "ios"), "history: a gauge value for a counter is left out");
	is_str("none", values(h, 0, "", "a", "limit"), "history: a counter value for a gauge is left out");
	history_free(h);
	h = history_new(NULL, 0);
	sample(h, "a", "bytes", 1);
	is_str("none", values(h, 0, "", "a", "bytes"), "history: without quantities a sample has no values");
	history_free(h);
}

#define MANY 32 /* quantities: more than all rooms have */

static void test_bounds(void)
{
	static struct history_quantity many[MANY + 1];
	static const struct history_quantity *const list[] = { many };
	static char names[MANY][8];
	struct history *h;

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "q%u", i);
		many[i] = (struct history_quantity){ i == 0 ? "bytes" : i == 1 ? "ios" : names[i], "", "", true };
	}
	h = history_new(list, 1);
	for (__u64 round = 0; round < 3; round++) {
		begin(h);
		tell_many(h, 5000, round);
		end(h);
	}
	ok(history_bytes(h) <= HISTORY_BYTES_MAX,
	   "history: %u quantities of 5000 owners with long names take %zu bytes, at most 8 MiB", MANY, history_bytes(h));
	for (unsigned int i = 0; i < HISTORY_SAMPLES; i++) {
		begin(h);
		end(h);
	}
	ok(history_bytes(h) < 200000, "history: %zu bytes remain when all owners are removed, fewer than 200000",
	   history_bytes(h));
	history_free(h);
	history_free(NULL);
}

int main(void)
{
	test_rates();
	test_machine();
	test_latency();
	test_marks();
	test_busiest();
	test_quantities();
	test_bounds();
	return done_testing();
}
