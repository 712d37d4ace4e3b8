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

#endif
