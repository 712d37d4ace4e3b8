// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include "kfuncs/cache/balance.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/ssd.h"

static void balance(struct work_struct *work)
{
	while (cache_index_wants_growth() && !cache_index_grow())
		;
	cache_memory_balance();
}
static DECLARE_WORK(balance_work, balance);

/* A work of its own: it waits for the SSD. */
static void balance_ssd(struct work_struct *work)
{
	cache_ssd_balance();
}
static DECLARE_WORK(ssd_work, balance_ssd);

void cache_balance(void)
{
	if (cache_index_wants_growth() || cache_memory_unbalanced())
		queue_work(system_unbound_wq, &balance_work);
	if (cache_ssd_unbalanced())
		queue_work(system_unbound_wq, &ssd_work);
}

/* ---- when the kernel is short of memory ---- */

static unsigned long count_pages(struct shrinker *shrinker, struct shrink_control *control)
{
	return cache_memory_held() ?: SHRINK_EMPTY;
}

static unsigned long give_pages(struct shrinker *shrinker, struct shrink_control *control)
{
	return cache_memory_yield(control->nr_to_scan) ?: SHRINK_STOP;
}

static struct shrinker *shrinker;

int cache_balance_open(void)
{
	shrinker = shrinker_alloc(0, "nestor-cache");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_pages;
	shrinker->scan_objects = give_pages;
	shrinker_register(shrinker);
	return 0;
}

void cache_balance_close(void)
{
	shrinker_free(shrinker);
	cancel_work_sync(&balance_work);
	cancel_work_sync(&ssd_work);
}
