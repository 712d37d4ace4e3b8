/* SPDX-License-Identifier: GPL-2.0 */
/* Reads counters per owner (agent/who/counter_maps.h), with the names that they are shown under, and adds them up. */
#ifndef NESTOR_COUNTERS_H
#define NESTOR_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/bpfobj.h"
#include "agent/who/counter_maps.h"

struct who;

struct counters_row {
	const char *vm, *container;
	const void *key; /* as in the map; of a sum, that of its first row */
	const __u64 *value; /* summed over CPUs */
	const char *extra; /* the room's, for its comparison */
};

/* A copy of both maps, with names; counts that are not to be shown yet are left out. */
struct counters_rows {
	struct counters_row *rows;
	size_t nr;
	size_t words; /* of a value */
	struct bpfobj_table live, gone;
	__u64 *sums;
};

/* 0 or -errno. Free it also after an error. */
int counters_read(struct who *w, const struct counters *t, struct counters_rows *ret);
void counters_free(struct counters_rows *r);

typedef int (*counters_compare_fn)(const void *a, const void *b); /* of two struct counters_row */
int counters_by_label(const void *a, const void *b); /* by vm, then container */

/* Sorts rows, adds up those that are equal by @compare and that @wanted (NULL: all) takes, calls @emit for each sum. */
void counters_for_each_sum(struct counters_rows *r, counters_compare_fn compare, bool (*wanted)(const struct counters_row *row),
			   void (*emit)(void *data, const struct counters_row *sum), void *data);

#endif
