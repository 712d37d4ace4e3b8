/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pools: one container's part of the cache. Its weight in a store gives it an entitlement; what others leave unused it may
 * use, and loses again when they want it.
 */
#ifndef NESTOR_KFUNCS_CACHE_POOL_H
#define NESTOR_KFUNCS_CACHE_POOL_H

#include "kfuncs/compat.h"

#include "kfuncs/cache_session.h"

struct cache_pool {
	struct nestor_cache_pool config;
	u64 pages[NESTOR_CACHE_STORES]; /* written under the lock */
	spinlock_t lock; /* irqs off; inner to a group's */
	u32 oldest, newest; /* entries in memory */
	struct nestor_cache_counters __percpu *counters;
	struct cache_pool *next; /* of those that are about to be freed */
};

#define pool_count(pool, counter, n) this_cpu_add((pool)->counters->counter, n)

void cache_pools_open(void);
/* All pools, which have no pages any more. Reads may go on, and count for nobody. May sleep. */
void cache_pools_close(void);

/* Makes or changes a pool. 0, -EINVAL, -ENOMEM, or -ENODEV after cache_pools_close(). May sleep. */
int cache_pool_set(const struct nestor_cache_pool *config);
/* Takes its weights, has @empty take its pages, and forgets it. 0 or -ENOENT. May sleep. */
int cache_pool_retire(u32 id, void (*empty)(struct cache_pool *pool));

/* NULL: there is none. Both under rcu_read_lock(). */
struct cache_pool *cache_pool_by_id(u32 id);
struct cache_pool *cache_pool_by_cgroup(u64 cgroup);

/* The list of what it has in memory. cache_pool_pull() and cache_pool_pop() leave the entry to the caller alone. */
void cache_pool_push(struct cache_pool *pool, u32 id);
bool cache_pool_pull(struct cache_pool *pool, u32 id); /* false: somebody else has it */
u32 cache_pool_pop(struct cache_pool *pool); /* the oldest; 0: none */

/* Adds to the pages it has in the SSD store. */
void cache_pool_add_ssd(struct cache_pool *pool, s64 pages);

/* Pages of @limit that its weight gives it. */
u64 cache_pool_entitlement(const struct cache_pool *pool, enum nestor_cache_store store, u64 limit);

/*
 * The pool that has to give @batch pages of a store of @limit pages: one without entitlement, else the one furthest above
 * its own plus its part, by weight, of what the others leave unused (DoubleDecker, Middleware 2017, with normalised
 * weights). NULL: no pool has any. Under rcu_read_lock().
 */
struct cache_pool *cache_pool_victim(enum nestor_cache_store store, u64 limit, u64 batch);

/* Fills @state, whose pool.id says of which. 0 or -ENOENT. */
int cache_pool_state(struct nestor_cache_pool_state *state, const u64 limits[NESTOR_CACHE_STORES]);

#endif
