// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/dm.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/ssd_io.h"
#include "kfuncs/faults.h"
#include "kfuncs/module.h"
#include "kfuncs/cache/selftest.h"

static void balance(struct work_struct *work)
{
	while (cache_index_wants_growth() && !cache_index_grow())
		;
	cache_memory_balance();
	cache_ssd_balance();
}
static DECLARE_WORK(balance_work, balance);

void nestor_module_balance(void)
{
	if (cache_index_wants_growth() || cache_memory_unbalanced() || cache_ssd_unbalanced())
		queue_work(system_unbound_wq, &balance_work);
}

#ifdef CONFIG_FAULT_INJECTION
unsigned int module_fail_nth;
module_param_named(fail_nth, module_fail_nth, uint, 0600);
MODULE_PARM_DESC(fail_nth, "which allocation of the module's next init or table fails, for tests; reads 0 if it did");
#endif

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

static int __init shrinker_open(void)
{
	shrinker = shrinker_alloc(0, "nestor-cache");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_pages;
	shrinker->scan_objects = give_pages;
	shrinker_register(shrinker);
	return 0;
}

/* ---- the module ---- */

static int __init open_all(void)
{
	int r;

	r = cache_index_open(totalram_pages(), frames_end());
	if (r)
		return r;
	cache_blocks_seed(get_random_u64());
	cache_memory_open();
	r = cache_kfuncs_open();
	if (r)
		goto index;
	r = cache_dm_open();
	if (r)
		goto index;
	r = shrinker_open();
	if (r)
		goto dm;
	r = selftest_run();
	if (r)
		goto shrinker;
	r = nestor_session_open();
	if (r)
		goto shrinker;
	return 0;
shrinker:
	shrinker_free(shrinker);
dm:
	cache_dm_close();
index:
	cancel_work_sync(&balance_work);
	cache_index_close();
	return r;
}

static int __init nestor_init(void)
{
	bool faulty = begin_faults();
	int r = open_all();

	end_faults(faulty);
	return r;
}

/* No device, no session and no program is left: each holds the module. */
static void __exit nestor_exit(void)
{
	nestor_session_close();
	shrinker_free(shrinker);
	cache_dm_close();
	cache_ssd_io_flush();
	cancel_work_sync(&balance_work);
	cache_memory_close();
	cache_index_close();
}

module_init(nestor_init);
module_exit(nestor_exit);
MODULE_DESCRIPTION("Nestor: functions for BPF programs, and a second-level page cache");
MODULE_AUTHOR("The Nestor authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(NESTOR_VERSION);
