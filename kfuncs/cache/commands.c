// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include "kfuncs/cache/abi1.h"
#include "kfuncs/cache/commands.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/latency.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/ssd_io.h"
#include "kfuncs/cache_session.h"
#include "kfuncs/session.h"

static bool accepting;

bool cache_in_session(void)
{
	return READ_ONCE(accepting);
}

int cache_commands_begin(struct nestor_session *session)
{
	cache_pools_open();
	WRITE_ONCE(accepting, true);
	return 0;
}

/* Reads under way may hold pages of a store for the time of a copy. */
static void empty_stores(void)
{
	cache_ssd_io_close();
	cache_memory_set_limit(0);
	for (cache_memory_balance(); cache_memory_held(); cache_memory_balance())
		schedule_timeout_uninterruptible(1);
}

void cache_commands_end(void)
{
	WRITE_ONCE(accepting, false);
	/* Puts have ended then. */
	synchronize_rcu();
	empty_stores();
	cache_pools_close();
}

void cache_commands_describe(struct nestor_version *version)
{
	version->cache_stores = NESTOR_CACHE_STORES;
	version->cache_drops = NESTOR_CACHE_DROPS;
	version->cache_pools = NESTOR_CACHE_POOLS;
}

/* ---- stores ---- */

static int set_limit(void __user *arg)
{
	struct nestor_cache_limit limit;

	if (copy_from_user(&limit, arg, sizeof(limit)))
		return -EFAULT;
	if (limit.store != NESTOR_CACHE_MEMORY || limit.pad || limit.pages > totalram_pages())
		return -EINVAL;
	cache_memory_set_limit(limit.pages);
	cache_memory_balance();
	return 0;
}

static int get_limit(void __user *arg)
{
	struct nestor_cache_limit limit;

	if (copy_from_user(&limit, arg, sizeof(limit)))
		return -EFAULT;
	if (limit.store >= NESTOR_CACHE_STORES)
		return -EINVAL;
	limit.pages = limit.store == NESTOR_CACHE_SSD ? cache_ssd_limit() : cache_memory_limit();
	limit.held = limit.store == NESTOR_CACHE_SSD ? cache_ssd_limit() : cache_memory_held();
	limit.errors = limit.store == NESTOR_CACHE_SSD ? cache_ssd_io_errors() : 0;
	return copy_to_user(arg, &limit, sizeof(limit)) ? -EFAULT : 0;
}

static int open_ssd(void __user *arg)
{
	struct nestor_cache_ssd want;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	return want.pad ? -EINVAL : cache_ssd_io_open(want.fd, want.pages);
}

/* ---- pools ---- */

static int set_pool(void __user *arg)
{
	struct nestor_cache_pool pool;

	if (copy_from_user(&pool, arg, sizeof(pool)))
		return -EFAULT;
	return cache_pool_set(&pool);
}

static int set_pool_abi1(void __user *arg)
{
	struct cache_abi1_pool old;
	struct nestor_cache_pool pool;

	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	pool = cache_abi1_to_pool(&old);
	return cache_pool_set(&pool);
}

static int state_of(u32 id, struct nestor_cache_pool_state *ret)
{
	const u64 limits[NESTOR_CACHE_STORES] = { cache_memory_limit(), cache_ssd_limit() };

	memset(ret, 0, sizeof(*ret));
	ret->pool.id = id;
	return cache_pool_state(ret, limits);
}

static int get_pool_state(void __user *arg)
{
	struct nestor_cache_pool_state state;
	int r;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EFAULT;
	r = state_of(state.pool.id, &state);
	if (r)
		return r;
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static int get_pool_state_abi1(void __user *arg)
{
	struct cache_abi1_pool_state old;
	struct nestor_cache_pool_state state;
	int r;

	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	r = state_of(old.pool.id, &state);
	if (r)
		return r;
	cache_abi1_from_state(&old, &state);
	return copy_to_user(arg, &old, sizeof(old)) ? -EFAULT : 0;
}

static void empty_pool(struct cache_pool *pool)
{
	cache_memory_drop_pool(pool);
	cache_ssd_drop_pool(pool);
}

static int drop_pool(void __user *arg)
{
	u32 id;

	if (copy_from_user(&id, arg, sizeof(id)))
		return -EFAULT;
	return cache_pool_retire(id, empty_pool);
}

/* ---- figures ---- */

static int get_latency(void __user *arg)
{
	struct nestor_cache_latency latency;
	int r;

	if (copy_from_user(&latency, arg, sizeof(latency)))
		return -EFAULT;
	r = cache_latency_sum(&latency);
	if (r)
		return r;
	return copy_to_user(arg, &latency, sizeof(latency)) ? -EFAULT : 0;
}

static int get_index(void __user *arg)
{
	struct nestor_cache_index state;

	cache_index_count(&state.entries, &state.free);
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static int close_ssd(void __user *arg)
{
	cache_ssd_io_close();
	return 0;
}

static const struct {
	unsigned int cmd;
	int (*run)(void __user *arg);
} commands[] = {
	{ NESTOR_CACHE_SET_LIMIT, set_limit },
	{ NESTOR_CACHE_GET_LIMIT, get_limit },
	{ NESTOR_CACHE_SET_POOL, set_pool },
	{ NESTOR_CACHE_DROP_POOL, drop_pool },
	{ NESTOR_CACHE_POOL_STATE, get_pool_state },
	{ NESTOR_CACHE_GET_INDEX, get_index },
	{ NESTOR_CACHE_OPEN_SSD, open_ssd },
	{ NESTOR_CACHE_CLOSE_SSD, close_ssd },
	{ NESTOR_CACHE_GET_LATENCY, get_latency },
	{ CACHE_ABI1_SET_POOL, set_pool_abi1 },
	{ CACHE_ABI1_POOL_STATE, get_pool_state_abi1 },
};

long cache_command(unsigned int cmd, void __user *arg)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].cmd == cmd)
			return commands[i].run(arg);
	return -ENOTTY;
}
