/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Builds one exposition in Prometheus' text format 0.0.4. Rooms may add samples in any order: a
 * family's samples are kept together, as the format asks.
 */
#ifndef NESTOR_METRICS_H
#define NESTOR_METRICS_H

#include "agent/lib/buf.h"
#include "bpf/hist.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics;
struct family;

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_reuse(struct metrics *m); /* for another exposition: it is empty, but keeps its memory */
void metrics_free(struct metrics *m);

/* The family of that name, made at the first call. Never NULL: without memory it swallows samples and metrics_render() fails.
 */
struct family *metrics_family(struct metrics *m, const char *name, enum metric_type type, const char *help);

/*
 * Renders name, value, name, value, …, NULL as labels. Values may hold any bytes: they are escaped,
 * and what is not UTF-8 becomes '?'. Valid until the next call.
 */
const char *metrics_labels(struct metrics *m, ...) __attribute__((sentinel));

void metrics_u64(struct family *f, const char *labels, unsigned long long value);
void metrics_double(struct family *f, const char *labels, double value);
void metrics_seconds(struct family *f, const char *labels, unsigned long long ns);
void metrics_hist(struct family *f, const char *labels, const struct hist *h, unsigned long long sum_ns); /* in seconds */

/* The whole text into @out. 0 or -ENOMEM. */
int metrics_render(struct metrics *m, struct buf *out);

#endif
