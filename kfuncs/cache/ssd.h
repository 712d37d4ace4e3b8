/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store on an SSD: a log of segments of 1 MiB, each of one pool. A segment is filled in memory, written at once, read page
 * by page, and given up as a whole: all in it is clean, so that takes no I/O. Nothing outlives the session; what is read is
 * checked against the hash that the index has.
 */
#ifndef NESTOR_KFUNCS_CACHE_SSD_H
#define NESTOR_KFUNCS_CACHE_SSD_H

#include "kfuncs/compat.h"

struct cache_pool;

#define SEGMENT_SHIFT 8 /* of slots: 1 MiB */
#define SEGMENT_SLOTS (1U << SEGMENT_SHIFT)

/*
 * Begins to write a segment; cache_ssd_written() tells of the end, maybe before it returns. May sleep, also until one that
 * was begun before has ended.
 */
typedef void (*cache_ssd_write_fn)(u32 segment, struct page *const pages[SEGMENT_SLOTS]);

/* Uses @segments of the device that @write writes to. 0 or -ENOMEM. May sleep, as all that follows. */
int cache_ssd_open(u32 segments, cache_ssd_write_fn write);
/* Gives up all. No put may be under way; waits for reads and writes that are. */
void cache_ssd_close(void);
u64 cache_ssd_limit(void); /* pages; 0: there is none */

/* Gives up all of @pool's segments; no put for it may be under way. */
void cache_ssd_drop_pool(struct cache_pool *pool);

bool cache_ssd_unbalanced(void); /* in any context */
/* Writes what is full, frees segments and has buffers ready. */
void cache_ssd_balance(void);

/*
 * Which filling this is of the segment that @place is in, which is being written, or was taken from: of no other segment or
 * filling there is the same number while the store is open. Any context.
 */
u64 cache_ssd_filling(u32 place);
/* A write has ended. Any context. */
void cache_ssd_written(u32 segment, bool good);

#endif
