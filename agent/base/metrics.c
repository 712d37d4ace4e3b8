// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "agent/base/metrics.h"
#include "agent/lib/utf8.h"
#include "agent/lib/util.h"

#define FAMILIES_MAX 256
#define HEADER_ROUGHLY 256 /* bytes of the lines that introduce a family; more cost a copy */

struct family {
	const char *name;
	const char *help;
	enum metric_type type;
	struct buf samples;
};

struct metrics {
	struct family families[FAMILIES_MAX];
	size_t nr_families;
	struct family overflow; /* takes what finds no place; makes the rendering fail */
	struct buf labels;
};

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < FAMILIES_MAX; i++)
		buf_free(&m->families[i].samples);
	buf_free(&m->overflow.samples);
	buf_free(&m->labels);
	free(m);
}

void metrics_reuse(struct metrics *m)
{
	for (size_t i = 0; i < FAMILIES_MAX; i++)
		buf_reuse(&m->families[i].samples);
	buf_reuse(&m->overflow.samples);
	buf_reuse(&m->labels);
	m->nr_families = 0;
}

struct family *metrics_family(struct metrics *m, const char *name, enum metric_type type, const char *help)
{
	struct family *f;

	for (size_t i = 0; i < m->nr_families; i++)
		if (!strcmp(m->families[i].name, name))
			return &m->families[i];
	if (m->nr_families == FAMILIES_MAX) {
		m->overflow.samples.failed = true;
		return &m->overflow;
	}
	f = &m->families[m->nr_families++];
	*f = (struct family){ .name = name, .help = help, .type = type, .samples = f->samples };
	return f;
}

static void add_escaped(struct buf *b, const char *value)
{
	const char *s = value;

	while (*s) {
		size_t len = utf8_len(s);

		if (*s == '\\' || *s == '"')
			buf_add(b, "\\", 1);
		if (*s == '\n')
			buf_str(b, "\\n");
		else if (!len)
			buf_str(b, "?");
		else
			buf_add(b, s, len);
		s += len ? len : 1;
	}
}

const char *metrics_labels(struct metrics *m, ...)
{
	const char *name;
	va_list args;

	buf_clear(&m->labels);
	va_start(args, m);
	while ((name = va_arg(args, const char *))) {
		if (m->labels.len)
			buf_add(&m->labels, ",", 1);
		buf_str(&m->labels, name);
		buf_add(&m->labels, "=\"", 2);
		add_escaped(&m->labels, va_arg(args, const char *));
		buf_add(&m->labels, "\"", 1);
	}
	va_end(args);
	return m->labels.text ? m->labels.text : "";
}

/* name + suffix + {labels} + space; the caller adds the value. */
static void start_sample(struct family *f, const char *suffix, const char *labels)
{
	struct buf *b = &f->samples;

	buf_str(b, f->name);
	buf_str(b, suffix);
	if (*labels) {
		buf_add(b, "{", 1);
		buf_str(b, labels);
		buf_add(b, "}", 1);
	}
	buf_add(b, " ", 1);
}

static void add_u64(struct family *f, const char *suffix, const char *labels, unsigned long long value)
{
	if (!f->name)
		return;
	start_sample(f, suffix, labels);
	buf_u64(&f->samples, value);
	buf_add(&f->samples, "\n", 1);
}

/* Exact, which a double is not above 2^53 ns. */
static void add_seconds(struct family *f, const char *suffix, const char *labels, unsigned long long ns)
{
	if (!f->name)
		return;
	start_sample(f, suffix, labels);
	buf_printf(&f->samples, "%llu.%09llu\n", ns / 1000000000, ns % 1000000000);
}

void metrics_u64(struct family *f, const char *labels, unsigned long long value)
{
	add_u64(f, "", labels, value);
}

void metrics_seconds(struct family *f, const char *labels, unsigned long long ns)
{
	add_seconds(f, "", labels, ns);
}

void metrics_double(struct family *f, const char *labels, double value)
{
	if (!f->name)
		return;
	start_sample(f, "", labels);
	buf_printf(&f->samples, "%.15g\n", value);
}

#define BOUND_MAX 24

/* The end of a bucket's labels, printed once: its bound in seconds. */
static const char *bound_text(unsigned int slot)
{
	static char texts[HIST_SLOTS][BOUND_MAX];

	if (!texts[slot][0]) {
		if (slot == HIST_BOUNDS)
			snprintf(texts[slot], BOUND_MAX, "+Inf\"} ");
		else
			snprintf(texts[slot], BOUND_MAX, "%.9g\"} ", (double)(1U << slot) / 1e6);
	}
	return texts[slot];
}

/* Most lines of a scrape are buckets: what is the same in all of them is copied, and room is made once. Returns their sum. */
static unsigned long long add_buckets(struct buf *b, const char *start, size_t len, const struct hist *h)
{
	char *to = buf_room(b, HIST_SLOTS * (len + BOUND_MAX + PUT_U64_MAX + 1));
	unsigned long long n = 0;

	for (unsigned int i = 0; to && i < HIST_SLOTS; i++) {
		n += h->slots[i];
		memcpy(to, start, len);
		to = stpcpy(to + len, bound_text(i));
		to = buf_put_u64(to, n);
		*to++ = '\n';
	}
	if (to)
		buf_wrote(b, to);
	return n;
}

void metrics_hist(struct family *f, const char *labels, const struct hist *h, unsigned long long sum_ns)
{
	unsigned long long n;
	struct buf start = {};

	if (!f->name)
		return;
	buf_str(&start, f->name);
	buf_str(&start, "_bucket{");
	buf_str(&start, labels);
	buf_str(&start, *labels ? ",le=\"" : "le=\"");
	f->samples.failed |= start.failed;
	n = add_buckets(&f->samples, start.text, start.len, h);
	buf_free(&start);
	add_seconds(f, "_sum", labels, sum_ns);
	add_u64(f, "_count", labels, n);
}

int metrics_render(struct metrics *m, struct buf *out)
{
	bool failed = m->overflow.samples.failed || m->labels.failed;
	size_t len = 0;

	for (size_t i = 0; i < m->nr_families; i++)
		len += m->families[i].samples.len + HEADER_ROUGHLY;
	buf_room(out, len);
	for (size_t i = 0; i < m->nr_families; i++) {
		struct family *f = &m->families[i];

		buf_str(out, "# HELP ");
		buf_str(out, f->name);
		buf_str(out, " ");
		buf_str(out, f->help);
		buf_str(out, "\n# TYPE ");
		buf_str(out, f->name);
		buf_str(out, " ");
		buf_str(out, type_names[f->type]);
		buf_str(out, "\n");
		if (f->samples.len)
			buf_add(out, f->samples.text, f->samples.len);
		failed |= f->samples.failed;
	}
	return failed || out->failed ? -ENOMEM : 0;
}
