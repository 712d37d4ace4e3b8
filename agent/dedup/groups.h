/* SPDX-License-Identifier: GPL-2.0 */
/* Which pages have the same content, and what merging them would save. */
#ifndef NESTOR_DEDUP_GROUPS_H
#define NESTOR_DEDUP_GROUPS_H

#include "agent/dedup/pages.h"

#define DEDUP_OWNERS_MAX 256

/* Pages, of one owner. A frame counts for the first one that has it. */
struct dedup_owner {
	uint64_t present;
	uint64_t zero; /* frames of zeroes */
	uint64_t merged; /* further mappings of frames that are counted already, those of zeroes aside */
	uint64_t changing;
	uint64_t own; /* frames that it has more than once, but for one of each */
	uint64_t common; /* frames whose content another owner has, too */
	uint64_t huge; /* pages that are worth merging, in transparent huge pages */
	double potential; /* its part of what merging would free: of n frames with one content, each is (n - 1) / n of one */
};

struct dedup_sums {
	struct dedup_owner owners[DEDUP_OWNERS_MAX];
	uint64_t *pairs; /* [a * nr + b], a < b: contents that both have */
	size_t nr; /* owners */
	uint64_t potential; /* frames that merging would free, those of zeroes aside */
	uint64_t merged; /* that merging, or a fork, has saved */
	uint64_t device_ns; /* that sorting took of a device */
};

/*
 * Marks in @second what was not in @first, or had another content there. Both as dedup_read() appended them, of the same
 * processes.
 */
void dedup_mark_changing(const struct dedup_pages *first, struct dedup_pages *second);

/*
 * Sums over @pages, which are sorted thereby, by @g if it is not NULL, and says which are worth merging. @zero is the hash of a
 * page of zeroes. 0 or -ENOMEM.
 */
int dedup_sum(struct dedup_pages *pages, size_t owners, uint64_t zero, struct gpu *g, struct dedup_sums *ret);
void dedup_sums_free(struct dedup_sums *s);

#endif
