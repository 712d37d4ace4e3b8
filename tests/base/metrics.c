// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* The text format, and the buckets of latencies. */
#include <stdlib.h>

#include <linux/types.h>

#include "agent/base/metrics.h"
#include "tests/harness/tap.h"

#undef __always_inline
#define __always_inline inline
#ifndef barrier_var
#define barrier_var(var) __asm__ volatile("" : "+r"(var))
#endif
#include "bpf/lib/hist.bpf.h"

static void test_text(void)
{
	struct metrics *m = metrics_new();
	struct family *a = metrics_family(m, "a_total", METRIC_COUNTER, "An a.");
	struct family *b = metrics_family(m, "b", METRIC_GAUGE, "A b.");
	struct buf out = {};

	metrics_u64(a, metrics_labels(m, "x", "1", "y", "2", NULL), 18446744073709551615ULL);
	metrics_double(b, "", 0.5);
	metrics_u64(metrics_family(m, "a_total", METRIC_COUNTER, "An a."), "", 0);
	is_u64(0, (unsigned long long)metrics_render(m, &out), "metrics: the text is rendered");
	is_str("# HELP a_total An a.\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 18446744073709551615\na_total 0\n"
	       "# HELP b A b.\n# TYPE b gauge\nb 0.5\n",
	       out.text, "metrics: samples of a family stay together");
	buf_free(&out);
	metrics_free(m);
}

static void test_escapes(void)
{
	static const struct {
		const char *value, *label, *what;
	} cases[] = {
		{ "plain", "l=\"plain\"", "metrics: a label of plain text stays as it is" },
		{ "a\\b\"c\nd", "l=\"a\\\\b\\\"c\\nd\"", "metrics: backslash, quote and newline in a label are escaped" },
		{ "gr\xc3\xbc\xc3\x9f", "l=\"gr\xc3\xbc\xc3\x9f\"", "metrics: UTF-8 in a label stays as it is" },
		{ "\xf0\x9f\x98\x80", "l=\"\xf0\x9f\x98\x80\"",
		  "metrics: a character of four bytes in a label stays as it is" },
		{ "\xc3", "l=\"?\"", "metrics: a cut character in a label becomes ?" },
		{ "\xc0\xaf", "l=\"??\"", "metrics: an overlong character in a label becomes ?" },
		{ "\xed\xa0\x80", "l=\"???\"", "metrics: a surrogate in a label becomes ?" },
		{ "\xf4\x90\x80\x80", "l=\"????\"", "metrics: a character beyond Unicode in a label becomes ?" },
		{ "\xff", "l=\"?\"", "metrics: a byte that UTF-8 never has becomes ? in a label" },
		{ "", "l=\"\"", "metrics: an empty label stays empty" },
	};
	struct metrics *m = metrics_new();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_str(cases[i].label, metrics_labels(m, "l", cases[i].value, NULL), cases[i].what);
	metrics_free(m);
}

static void test_hist_text(void)
{
	struct metrics *m = metrics_new();
	struct family *f = metrics_family(m, "h_seconds", METRIC_HISTOGRAM, "An h.");
	struct hist h = { .slots = { [0] = 1, [10] = 2, [HIST_BOUNDS] = 4 } };
	struct buf out = {};

	metrics_hist(f, metrics_labels(m, "d", "x", NULL), &h, 9007199254740993ULL);
	metrics_render(m, &out);
	ok(strstr(out.text, "h_seconds_bucket{d=\"x\",le=\"1e-06\"} 1\n") != NULL,
	   "metrics: the first bucket of a histogram is 1 us");
	ok(strstr(out.text, "h_seconds_bucket{d=\"x\",le=\"0.001024\"} 3\n") != NULL,
	   "metrics: buckets of a histogram are cumulative");
	ok(strstr(out.text, "h_seconds_bucket{d=\"x\",le=\"134.217728\"} 3\n") != NULL,
	   "metrics: the last bound of a histogram is 134 s");
	ok(strstr(out.text, "h_seconds_bucket{d=\"x\",le=\"+Inf\"} 7\n") != NULL,
	   "metrics: the +Inf bucket of a histogram has all events");
	ok(strstr(out.text, "h_seconds_count{d=\"x\"} 7\n") != NULL, "metrics: the count of a histogram has all events");
	ok(strstr(out.text, "h_seconds_sum{d=\"x\"} 9007199.254740993\n") != NULL,
	   "metrics: the sum of a histogram is exact beyond 2^53 ns");
	buf_free(&out);
	metrics_free(m);
}

/* Each bound and its neighbours: le must be true. */
static void test_slots(void)
{
	unsigned int wrong = 0;

	wrong += hist_slot(0) != 0;
	for (unsigned int i = 0; i < HIST_BOUNDS; i++) {
		__u64 bound = 1000ULL << i;

		wrong += hist_slot(bound) != i;
		wrong += hist_slot(bound + 1) != i + 1;
		wrong += i && hist_slot(bound - 1) != i;
	}
	wrong += hist_slot(~0ULL - 1000) != HIST_BOUNDS;
	is_u64(0, wrong, "metrics: a latency is in the bucket with the smallest bound that holds it");
}

static void test_buckets(void)
{
	unsigned long long events = 0, n = 0;
	struct hist h = {};

	for (__u64 ns = 1; ns < 1ULL << 40; ns = ns * 3 + 1, n++)
		hist_add(&h, ns);
	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		events += h.slots[i];
	is_u64(n, events, "metrics: the buckets of a histogram have all events");
}

static void test_too_many_families(void)
{
	struct metrics *m = metrics_new();
	static char names[300][8];
	struct buf out = {};

	for (int i = 0; i < 300; i++) {
		snprintf(names[i], sizeof(names[i]), "m%d", i);
		metrics_u64(metrics_family(m, names[i], METRIC_GAUGE, "."), "", 1);
	}
	ok(metrics_render(m, &out) != 0, "metrics: too many families are an error, not a silent gap");
	buf_free(&out);
	metrics_free(m);
}

int main(void)
{
	test_text();
	test_escapes();
	test_hist_text();
	test_slots();
	test_buckets();
	test_too_many_families();
	return done_testing();
}
