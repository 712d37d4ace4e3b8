/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What may happen to a block: the rules that keep the cache coherent. For any block that a store has, its content is what
 * the disk has; that holds because
 *
 *   - a write takes what is known of its blocks out of the index before it goes to the disk;
 *   - while it is under way, nobody learns a thing about these blocks but itself, and it only if it was alone;
 *   - a read learns what it brought only if no write was under way or began in the same MiB meanwhile;
 *   - a page is accepted only if its content has the hash that was taken when its read ended or its write began: what was
 *     decrypted in place, changed after, or belongs to another block by now does not get in.
 *
 * So a missed removal, a lost note or a killed agent costs room for a while, and never a wrong byte.
 *
 * All functions may be called with interrupts off and do not sleep. Blocks of one call lie in one group.
 */
#ifndef NESTOR_KFUNCS_CACHE_BLOCKS_H
#define NESTOR_KFUNCS_CACHE_BLOCKS_H

#include "kfuncs/compat.h"

#include "kfuncs/cache.h"

struct cache_pool;
struct cache_store;

#define BLOCKS_BATCH 64 /* that one call takes */
/* Copied or hashed with interrupts off at once, 30 to 50 us: what readahead brings (128 KiB), and no more of larger I/O or
 * folios. */
#define PAGES_AT_ONCE 32

struct block_page {
	u32 frame;
	u64 hash;
};

/* What a read or a write has to know again when it ends. */
struct ticket {
	u32 generation;
	bool alone; /* no write was under way */
};

/* ---- reads into the page cache ---- */

/* What a read takes out of a store: in one piece, if it has to be read there. */
struct taken {
	enum nestor_cache_store store;
	u32 nr;
	u32 places[BLOCKS_BATCH]; /* to be released */
};

/* Takes up to @nr blocks from @where on, for the page frames @to, until one is not there. */
void cache_blocks_take(u64 where, u32 nr, const u32 *to, struct taken *taken);
/* The hash that the page in @frame has to have, now that block @where was taken for it; 0: nobody knows any more. */
u64 cache_blocks_expected(u64 where, u32 frame);
/* How many blocks from @where on, up to @nr, are in no store; at least 1. Begins the read of these. */
u32 cache_blocks_read_begin(u64 where, u32 nr, struct ticket *ticket);
/* The read has brought @pages, which have these hashes. */
void cache_blocks_read_end(u64 where, u32 nr, const struct block_page *pages, const struct ticket *ticket);

/* ---- writes ---- */

/* A write begins; @blind: it tells nothing of its pages. Then it forgets the blocks, else cache_blocks_write_pages() follow. */
void cache_blocks_write_begin(u64 where, u32 nr, bool blind);
/* Its pages. Of @ids, a list from cache_index_alloc(), the first @nr are the index's then; returns the rest of the list. */
u32 cache_blocks_write_pages(u64 where, u32 nr, const struct block_page *pages, u32 ids);
/* Their end. */
void cache_blocks_write_pages_end(u64 where, u32 nr, const u32 *frames, bool good);
void cache_blocks_write_end(u64 where, bool blind);

/* ---- pages that leave the page cache ---- */

/*
 * Offers the page in @frame, nobody else's any more. 0: the store has a copy. Else -NESTOR_CACHE_DROP_... - 1. Under
 * rcu_read_lock().
 */
int cache_blocks_put(u32 frame, struct cache_pool *pool, enum nestor_cache_store store);
/* It is gone, by truncation. */
void cache_blocks_forget(u32 frame);

/* ---- for stores ---- */

/* @id was popped from its pool's list: its page is about to be used for another block. */
void cache_blocks_evicted(u32 id);
/* Moves it, from where its page is at @from, to another store instead. False: it is to be evicted. */
bool cache_blocks_move(u32 id, struct cache_pool *pool, const void *from, enum nestor_cache_store store);
/* Forgets all of @device. May sleep. */
void cache_blocks_forget_device(u8 device);

u64 cache_blocks_hash(const void *page);

/* ---- life ---- */

/* Before all else: the stores, by enum nestor_cache_store, and what hashes start from. */
void cache_blocks_open(const struct cache_store *const stores[NESTOR_CACHE_STORES], u64 seed);
/* What was handed in. */
extern const struct cache_store *cache_stores[NESTOR_CACHE_STORES];

#endif
