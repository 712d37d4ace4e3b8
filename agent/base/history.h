/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the busiest containers and VMs did in the last 15 minutes, for the page. Pure computation: no clock, no timer,
 * no room; agent/core/history_sampler.c feeds it. A sample is history_begin(), what rooms tell, history_end().
 *
 * Memory is bounded: HISTORY_OWNERS owners have their samples kept, others only what it takes to see how busy they are.
 */
#ifndef NESTOR_HISTORY_H
#define NESTOR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <linux/types.h>

#include "bpf/hist.h"

#define HISTORY_SECONDS 5 /* between samples */
#define HISTORY_SAMPLES 180 /* that are kept: 15 minutes */
#define HISTORY_OWNERS 64 /* whose samples are kept, besides the machine */
#define HISTORY_MARKS 32 /* changes of policy that are kept: the last ones */
#define HISTORY_BYTES_MAX (8U << 20)

struct history;

/* What a room tells of an owner. */
struct history_quantity {
	const char *name; /* no other room's */
	const char *unit; /* bytes, bytes/s, pages, …; of a counter without "/s", which is added as it becomes a rate */
	const char *doc; /* a few words */
	bool counter; /* else a gauge */
};

/* @lists: @nr lists of quantities, each up to one without a name, or NULL; they live as long. NULL: no memory. */
struct history *history_new(const struct history_quantity *const *lists, unsigned int nr);
void history_free(struct history *h);

/* @ms: CLOCK_REALTIME in milliseconds; @ns: CLOCK_MONOTONIC, which rates are made of. */
void history_begin(struct history *h, __u64 ms, __u64 ns);
void history_end(struct history *h);

/*
 * A room tells what it knows of an owner: @vm and @container as on its series. The machine, of which both are "", is
 * the sum of all. @quantity is the name of one in the lists, of this kind; others are left out. A counter becomes a rate
 * per second; a gauge stays as it is. What one sample tells more than once adds up. An owner has one histogram, of latencies.
 */
void history_counter(struct history *h, const char *vm, const char *container, const char *quantity, __u64 value);
void history_gauge(struct history *h, const char *vm, const char *container, const char *quantity, double value);
void history_latency(struct history *h, const char *vm, const char *container, const struct hist *value);

/* Another policy came into force at @ms, CLOCK_REALTIME. */
void history_mark(struct history *h, __u64 ms);

/*
 * The samples after number @after (0: all that are kept), a new reference; NULL: no memory. After a number that was
 * never given out there are all: it was another agent's. Marks are all there that are within the samples that are kept.
 */
json_t *history_show(const struct history *h, __u64 after);

size_t history_bytes(const struct history *h); /* that it takes now, without malloc's own part */

#endif
