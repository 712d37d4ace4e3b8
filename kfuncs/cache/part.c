// SPDX-License-Identifier: GPL-2.0
/* The cache as a part of the module: what it is made of, in order. */
#include "kfuncs/cache/balance.h"
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/commands.h"
#include "kfuncs/cache/dm.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/kfuncs.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/part.h"
#include "kfuncs/cache/selftest.h"
#include "kfuncs/cache/store.h"
#include "kfuncs/cache_session.h"
#include "kfuncs/session.h"

static const struct cache_store *const stores[NESTOR_CACHE_STORES] = {
	[NESTOR_CACHE_MEMORY] = &cache_memory_store,
	[NESTOR_CACHE_SSD] = &cache_ssd_store,
};

static void close_all(void)
{
	cache_balance_close();
	cache_memory_close();
	cache_index_close();
}

static int open_all(void)
{
	int r;

	cache_blocks_open(stores, get_random_u64());
	cache_memory_open();
	r = cache_balance_open();
	if (r)
		return r;
	/* Functions cannot be taken back, but no program can call them before the module is up. */
	r = cache_kfuncs_open() ?: cache_selftest_run();
	if (r)
		close_all();
	return r;
}

const struct nestor_part cache_part = {
	.name = "cache",
	.feature = NESTOR_FEATURE_CACHE,
	.open = open_all,
	.close = close_all,
	.publish = cache_dm_open,
	.withdraw = cache_dm_close,
	.first = 1,
	.last = 31,
	.begin = cache_commands_begin,
	.end = cache_commands_end,
	.command = cache_command,
	.describe = cache_commands_describe,
};
