/* SPDX-License-Identifier: GPL-2.0 */
/* Which ranges of a process' memory are worth telling KSM of. */
#ifndef NESTOR_DEDUP_RANGES_H
#define NESTOR_DEDUP_RANGES_H

#include "agent/dedup/inject.h"
#include "agent/dedup/pages.h"

struct dedup_plan {
	struct inject_range *ranges; /* in order */
	size_t n;
	uint64_t pages; /* that are worth it */
	uint64_t others; /* between them, in ranges that were joined for want of mappings */
};

/* In the order of processes and addresses, those first that are worth it. Returns how many these are. */
size_t dedup_sort_worth(struct dedup_pages *pages);

/*
 * Ranges of the @n pages, which are of one process and in order; those with few others between them are one. At most @max: each
 * makes up to two more mappings of the process; beyond that, those are joined that are nearest to each other. 0 or -ENOMEM.
 */
int dedup_plan(const struct dedup_page *pages, size_t n, size_t max, struct dedup_plan *ret);
void dedup_plan_free(struct dedup_plan *p);

#endif
