/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a store is to the rest: a place for pages, that tells by its number where each is. Entries that a store has are in its
 * lists, and who takes an entry off is its owner alone.
 *
 * Nothing here sleeps.
 */
#ifndef NESTOR_KFUNCS_CACHE_STORE_H
#define NESTOR_KFUNCS_CACHE_STORE_H

#include "kfuncs/compat.h"

#include "kfuncs/cache.h"

struct cache_pool;

struct cache_store {
	/* A place for a page of @pool, and where to write it to; 0: no room. Under rcu_read_lock(), not under a group's lock.
	 */
	u32 (*reserve)(struct cache_pool *pool, void **ret_copy);
	/* Entry @id is there now, or no one is. The former under its group's lock. */
	void (*commit)(struct cache_pool *pool, u32 id, u32 place);
	void (*cancel)(u32 place);
	/* Takes @id off the lists, under its group's lock. False: somebody else just does. What is in its place stays until
	 * release(). */
	bool (*take)(struct cache_pool *pool, u32 id);
	void (*release)(u32 place);
	/* Where the page is that was taken; NULL: it has to be read. */
	void *(*address)(u32 place);
	/* May one read bring both? */
	bool (*adjacent)(u32 place, u32 next);
};

extern const struct cache_store cache_memory_store, cache_ssd_store;

#endif
