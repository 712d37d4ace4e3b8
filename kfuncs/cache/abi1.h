/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface 1, for agents that were built before NESTOR_ABI was 2: its arrays by store have no room for more than two. The
 * structs that differ, and their commands; the others are as they were.
 */
#ifndef NESTOR_KFUNCS_CACHE_ABI1_H
#define NESTOR_KFUNCS_CACHE_ABI1_H

#include "kfuncs/compat.h"

#include "kfuncs/cache_session.h"

#define CACHE_ABI1_STORES 2
#define CACHE_ABI1_DROPS 6

struct cache_abi1_pool {
	u64 cgroup;
	u32 id;
	u32 weight[CACHE_ABI1_STORES];
	u32 pad;
};

struct cache_abi1_pool_state {
	struct cache_abi1_pool pool;
	u64 pages[CACHE_ABI1_STORES];
	u64 entitlement[CACHE_ABI1_STORES];
	u64 gets;
	u64 hits[CACHE_ABI1_STORES];
	u64 puts[CACHE_ABI1_STORES];
	u64 evictions[CACHE_ABI1_STORES];
	u64 demotions;
	u64 drops[CACHE_ABI1_DROPS];
};

#define CACHE_ABI1_SET_POOL _IOW('N', 3, struct cache_abi1_pool)
#define CACHE_ABI1_POOL_STATE _IOWR('N', 5, struct cache_abi1_pool_state)

struct nestor_cache_pool cache_abi1_to_pool(const struct cache_abi1_pool *old);
/* What @old has no room for is left out. */
void cache_abi1_from_state(struct cache_abi1_pool_state *old, const struct nestor_cache_pool_state *state);

#endif
