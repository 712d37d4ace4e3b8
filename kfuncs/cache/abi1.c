// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/abi1.h"

/* Their sizes are in the numbers of the commands. */
static_assert(sizeof(struct cache_abi1_pool) == 24);
static_assert(sizeof(struct cache_abi1_pool_state) == 168);

struct nestor_cache_pool cache_abi1_to_pool(const struct cache_abi1_pool *old)
{
	struct nestor_cache_pool pool = { .cgroup = old->cgroup, .id = old->id, .pad = old->pad };

	memcpy(pool.weight, old->weight, sizeof(old->weight));
	return pool;
}

void cache_abi1_from_state(struct cache_abi1_pool_state *old, const struct nestor_cache_pool_state *state)
{
	const struct nestor_cache_counters *n = &state->counters;

	*old = (struct cache_abi1_pool_state){
		.pool = { .cgroup = state->pool.cgroup, .id = state->pool.id },
		.gets = n->gets,
		.demotions = n->demotions,
	};
	memcpy(old->pool.weight, state->pool.weight, sizeof(old->pool.weight));
	memcpy(old->pages, state->pages, sizeof(old->pages));
	memcpy(old->entitlement, state->entitlement, sizeof(old->entitlement));
	memcpy(old->hits, n->hits, sizeof(old->hits));
	memcpy(old->puts, n->puts, sizeof(old->puts));
	memcpy(old->evictions, n->evictions, sizeof(old->evictions));
	memcpy(old->drops, n->drops, sizeof(old->drops));
}
