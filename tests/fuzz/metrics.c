// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 256
 * The writer of the exposition: any bytes as values of labels, any number; the text is in the format, and its own parser
 * reads back what was written. Two lines are the labels, then come the bytes of the number.
 */
#include <linux/types.h>

#include "agent/base/metrics.h"
#include "agent/lib/prom_parse.h"
#include "tests/fuzz/fuzz.h"

/* It is long, so it is not there in most runs. */
static bool with_hist(__u64 value)
{
	return value % 16 == 15;
}

/* UTF-8 stays; of a byte that is none a question mark stays. */
static void check_label(const char *given, const char *back)
{
	MUST(is_utf8(back));
	while (*given) {
		size_t len = utf8_len(given);

		MUST(len ? !strncmp(given, back, len) : *back == '?');
		given += len ? len : 1;
		back += len ? len : 1;
	}
	MUST(!*back);
}

/* A line has one sample and no control character of its own making. */
static void check_lines(const char *text, size_t len, size_t nr)
{
	MUST(len && text[len - 1] == '\n' && strlen(text) == len);
	for (const char *c = text; *c; c++)
		nr -= *c == '\n';
	MUST(!nr);
}

static void check_sample(char **pos, const char *name, const char *a, const char *b)
{
	struct prom_sample s;

	MUST(prom_next(pos, &s) && !strcmp(s.name, name));
	check_label(a, prom_label(&s, "container"));
	check_label(b, prom_label(&s, "vm"));
}

static void check_values(char *pos, const char *a, const char *b, __u64 value)
{
	char expected[64];
	struct prom_sample s;

	snprintf(expected, sizeof(expected), "%llu", value);
	MUST(prom_next(&pos, &s) && s.nr_labels == 2 && !strcmp(s.value, expected));
	check_label(a, prom_label(&s, "container"));
	check_label(b, prom_label(&s, "vm"));
	snprintf(expected, sizeof(expected), "%llu.%09llu", value / 1000000000, value % 1000000000);
	MUST(prom_next(&pos, &s) && s.nr_labels == 0 && !strcmp(s.value, expected));
	for (unsigned int i = 0; with_hist(value) && i < HIST_SLOTS; i++)
		check_sample(&pos, "c_seconds_bucket", a, b);
	if (with_hist(value)) {
		check_sample(&pos, "c_seconds_sum", a, b);
		check_sample(&pos, "c_seconds_count", a, b);
	}
	MUST(!prom_next(&pos, &s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	_free_ char *a = take_until(&in, '\n'), *b = take_until(&in, '\0');
	struct metrics *m = metrics_new();
	struct hist h = {};
	struct buf out = {};
	const char *labels;
	__u64 value = 0;

	memcpy(&value, in.data, in.len < sizeof(value) ? in.len : sizeof(value));
	h.slots[value % HIST_SLOTS] = value;
	MUST(m);
	labels = metrics_labels(m, "container", a, "vm", b, NULL);
	metrics_u64(metrics_family(m, "a_total", METRIC_COUNTER, "A."), labels, value);
	metrics_seconds(metrics_family(m, "b_seconds", METRIC_GAUGE, "B."), "", value);
	if (with_hist(value))
		metrics_hist(metrics_family(m, "c_seconds", METRIC_HISTOGRAM, "C."), labels, &h, value);
	MUST(!metrics_render(m, &out));
	check_lines(out.text, out.len, 2 * 2 + 2 + (with_hist(value) ? 2 + HIST_SLOTS + 2 : 0));
	check_values(out.text, a, b, value);
	buf_free(&out);
	metrics_free(m);
	return 0;
}
