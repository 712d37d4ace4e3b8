/* SPDX-License-Identifier: GPL-2.0 */
/* Brings pages of the same content together. */
#ifndef NESTOR_DEDUP_SORT_H
#define NESTOR_DEDUP_SORT_H

#include "agent/dedup/pages.h"

/*
 * Pages of one hash come next to each other, those of one frame among them, too; by @g, or here if that is NULL or fails. What
 * the device took goes to *@device_ns. 0 or -ENOMEM.
 */
int dedup_sort(struct dedup_pages *pages, struct gpu *g, uint64_t *device_ns);

/*
 * The @n pages with these numbers come first, in that order, with those of one hash and frame next to each other; the others
 * stay in order. 0; -EIO: a number is none of a page, or is there twice, and nothing has changed; -ENOMEM.
 */
int dedup_sort_first(struct dedup_pages *pages, const uint32_t *numbers, size_t n);

#endif
