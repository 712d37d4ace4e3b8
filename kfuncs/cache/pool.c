// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/pool.h"

#define OFF_LIST (~0U) /* of an entry's `older`: in no list */

/* What a reader of policy sees as one: swapped as a whole. */
struct pool_table {
	struct rcu_head rcu;
	u64 weights[NESTOR_CACHE_STORES]; /* sums */
	u32 nr;
	struct cache_pool *pools[];
};

static struct cache_pool __rcu *by_id[NESTOR_CACHE_POOLS];
static struct pool_table __rcu *table;
static DEFINE_MUTEX(config_lock);
static bool opened;

static void publish(struct pool_table *fresh)
{
	struct pool_table *before = rcu_dereference_protected(table, lockdep_is_held(&config_lock));

	rcu_assign_pointer(table, fresh);
	if (before)
		kvfree_rcu(before, rcu);
}

/* Anew from all pools. 0 or -ENOMEM. */
static int rebuild_table(void)
{
	struct pool_table *fresh;
	u32 id, s;

	fresh = kvzalloc(struct_size(fresh, pools, NESTOR_CACHE_POOLS), GFP_KERNEL);
	if (!fresh)
		return -ENOMEM;
	for (id = 0; id < NESTOR_CACHE_POOLS; id++) {
		struct cache_pool *pool = rcu_dereference_protected(by_id[id], lockdep_is_held(&config_lock));

		if (!pool)
			continue;
		fresh->pools[fresh->nr++] = pool;
		for (s = 0; s < NESTOR_CACHE_STORES; s++)
			fresh->weights[s] += pool->config.weight[s];
	}
	publish(fresh);
	return 0;
}

void cache_pools_open(void)
{
	mutex_lock(&config_lock);
	opened = true;
	mutex_unlock(&config_lock);
}

static void free_pool(struct cache_pool *pool)
{
	free_percpu(pool->counters);
	kfree(pool);
}

void cache_pools_close(void)
{
	struct cache_pool *doomed = NULL;
	u32 id;

	mutex_lock(&config_lock);
	opened = false;
	publish(NULL);
	for (id = 0; id < NESTOR_CACHE_POOLS; id++) {
		struct cache_pool *pool = rcu_dereference_protected(by_id[id], lockdep_is_held(&config_lock));

		if (!pool)
			continue;
		RCU_INIT_POINTER(by_id[id], NULL);
		pool->next = doomed;
		doomed = pool;
	}
	mutex_unlock(&config_lock);
	/* Devices outlive the session: their reads may be counting. */
	synchronize_rcu();
	while (doomed) {
		struct cache_pool *pool = doomed;

		doomed = pool->next;
		free_pool(pool);
	}
}

static struct cache_pool *new_pool(const struct nestor_cache_pool *config)
{
	struct cache_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	pool->counters = alloc_percpu(struct nestor_cache_counters);
	if (!pool->counters) {
		kfree(pool);
		return NULL;
	}
	spin_lock_init(&pool->lock);
	pool->config = *config;
	return pool;
}

static bool config_valid(const struct nestor_cache_pool *config)
{
	u32 s;

	for (s = 0; s < NESTOR_CACHE_STORES; s++)
		if (config->weight[s] > NESTOR_CACHE_WEIGHT_MAX)
			return false;
	for (; s < NESTOR_CACHE_STORES_MAX; s++)
		if (config->weight[s])
			return false;
	return config->id < NESTOR_CACHE_POOLS && !config->pad;
}

static int change_pool(const struct nestor_cache_pool *config)
{
	struct cache_pool *pool = rcu_dereference_protected(by_id[config->id], lockdep_is_held(&config_lock));
	u32 s;

	if (!opened)
		return -ENODEV;
	if (!pool) {
		pool = new_pool(config);
		if (!pool)
			return -ENOMEM;
		rcu_assign_pointer(by_id[config->id], pool);
	}
	WRITE_ONCE(pool->config.cgroup, config->cgroup);
	for (s = 0; s < NESTOR_CACHE_STORES; s++)
		WRITE_ONCE(pool->config.weight[s], config->weight[s]);
	return rebuild_table();
}

int cache_pool_set(const struct nestor_cache_pool *config)
{
	int r;

	if (!config_valid(config))
		return -EINVAL;
	mutex_lock(&config_lock);
	r = change_pool(config);
	mutex_unlock(&config_lock);
	return r;
}

int cache_pool_retire(u32 id, void (*empty)(struct cache_pool *pool))
{
	struct nestor_cache_pool none = { .id = id };
	struct cache_pool *pool;

	if (id >= NESTOR_CACHE_POOLS)
		return -ENOENT;
	mutex_lock(&config_lock);
	pool = rcu_dereference_protected(by_id[id], lockdep_is_held(&config_lock));
	if (!pool) {
		mutex_unlock(&config_lock);
		return -ENOENT;
	}
	change_pool(&none);
	/* Whoever saw its weight has put by then. */
	synchronize_rcu();
	empty(pool);
	RCU_INIT_POINTER(by_id[id], NULL);
	/* Out of memory: the old table would still name it. */
	if (rebuild_table())
		publish(NULL);
	mutex_unlock(&config_lock);
	synchronize_rcu();
	free_pool(pool);
	return 0;
}

struct cache_pool *cache_pool_by_id(u32 id)
{
	return id < NESTOR_CACHE_POOLS ? rcu_dereference(by_id[id]) : NULL;
}

struct cache_pool *cache_pool_by_cgroup(u64 cgroup)
{
	struct pool_table *t = rcu_dereference(table);
	u32 i;

	for (i = 0; t && i < t->nr; i++)
		if (READ_ONCE(t->pools[i]->config.cgroup) == cgroup)
			return t->pools[i];
	return cache_pool_by_id(0);
}

/* ---- the list ---- */

void cache_pool_push(struct cache_pool *pool, u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	e->older = pool->newest;
	e->newer = 0;
	if (pool->newest)
		cache_index_entry_by_id(pool->newest)->newer = id;
	else
		pool->oldest = id;
	pool->newest = id;
	WRITE_ONCE(pool->pages[NESTOR_CACHE_MEMORY], pool->pages[NESTOR_CACHE_MEMORY] + 1);
	spin_unlock_irqrestore(&pool->lock, flags);
}

static void unlink_locked(struct cache_pool *pool, struct entry *e)
{
	if (e->older)
		cache_index_entry_by_id(e->older)->newer = e->newer;
	else
		pool->oldest = e->newer;
	if (e->newer)
		cache_index_entry_by_id(e->newer)->older = e->older;
	else
		pool->newest = e->older;
	e->older = OFF_LIST;
	WRITE_ONCE(pool->pages[NESTOR_CACHE_MEMORY], pool->pages[NESTOR_CACHE_MEMORY] - 1);
}

bool cache_pool_pull(struct cache_pool *pool, u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	unsigned long flags;
	bool listed;

	spin_lock_irqsave(&pool->lock, flags);
	listed = e->older != OFF_LIST;
	if (listed)
		unlink_locked(pool, e);
	spin_unlock_irqrestore(&pool->lock, flags);
	return listed;
}

u32 cache_pool_pop(struct cache_pool *pool)
{
	unsigned long flags;
	u32 id;

	spin_lock_irqsave(&pool->lock, flags);
	id = pool->oldest;
	if (id)
		unlink_locked(pool, cache_index_entry_by_id(id));
	spin_unlock_irqrestore(&pool->lock, flags);
	return id;
}

void cache_pool_add_ssd(struct cache_pool *pool, s64 pages)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	WRITE_ONCE(pool->pages[NESTOR_CACHE_SSD], pool->pages[NESTOR_CACHE_SSD] + pages);
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* ---- shares ---- */

static u64 share(u64 whole, u64 weight, u64 weights)
{
	return weights ? whole * weight / weights : 0;
}

u64 cache_pool_entitlement(const struct cache_pool *pool, enum nestor_cache_store store, u64 limit)
{
	struct pool_table *t;
	u64 pages;

	rcu_read_lock();
	t = rcu_dereference(table);
	pages = t ? share(limit, READ_ONCE(pool->config.weight[store]), t->weights[store]) : 0;
	rcu_read_unlock();
	return pages;
}

/* A pool in the eyes of who looks for a victim. */
struct claim {
	u64 used, entitled, weight;
};

static struct claim claim_of(const struct pool_table *t, u32 i, enum nestor_cache_store store, u64 limit)
{
	const struct cache_pool *pool = t->pools[i];
	u64 weight = READ_ONCE(pool->config.weight[store]);

	return (struct claim){ READ_ONCE(pool->pages[store]), share(limit, weight, t->weights[store]), weight };
}

struct cache_pool *cache_pool_victim(enum nestor_cache_store store, u64 limit, u64 batch)
{
	struct pool_table *t = rcu_dereference(table);
	struct cache_pool *victim = NULL;
	u64 spare = 0, weights = 0;
	s64 most = 0;
	u32 i;

	if (!t)
		return cache_pool_by_id(0);
	for (i = 0; i < t->nr; i++) {
		struct claim c = claim_of(t, i, store, limit);

		if (!c.entitled && c.used)
			return t->pools[i];
		if (c.entitled < c.used + batch)
			weights += c.weight;
		else
			spare += c.entitled - c.used;
	}
	for (i = 0; i < t->nr; i++) {
		struct claim c = claim_of(t, i, store, limit);
		s64 above = c.used + batch - c.entitled - share(spare, c.weight, weights);

		if (!c.used || c.entitled >= c.used + batch || (victim && above <= most))
			continue;
		victim = t->pools[i];
		most = above;
	}
	return victim;
}

int cache_pool_state(struct nestor_cache_pool_state *state, const u64 limits[NESTOR_CACHE_STORES])
{
	struct cache_pool *pool;
	u64 *sum = (u64 *)&state->counters;
	u32 s, i;
	int cpu;

	rcu_read_lock();
	pool = cache_pool_by_id(state->pool.id);
	if (!pool) {
		rcu_read_unlock();
		return -ENOENT;
	}
	state->pool = pool->config;
	for (s = 0; s < NESTOR_CACHE_STORES; s++) {
		state->pages[s] = READ_ONCE(pool->pages[s]);
		state->entitlement[s] = cache_pool_entitlement(pool, s, limits[s]);
	}
	memset(&state->counters, 0, sizeof(state->counters));
	for_each_possible_cpu (cpu) {
		const u64 *one = (const u64 *)per_cpu_ptr(pool->counters, cpu);

		for (i = 0; i < sizeof(state->counters) / sizeof(u64); i++)
			sum[i] += one[i];
	}
	rcu_read_unlock();
	return 0;
}
