// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/random.h>

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/store.h"
#include "kfuncs/cache/selftest.h"

#define DEVICE 255
#define WORKERS_MAX 16
#define BLOCKS 512 /* that a worker has; neighbours are others', in the same groups */
#define STORE_PAGES 1024

static unsigned int selftest;
module_param(selftest, uint, 0400);
MODULE_PARM_DESC(selftest, "seconds that the cache tests itself when it is loaded; loading fails if it does");

/* A block: what the disk has, and the page that is in the page cache, if any. Its worker's alone. */
struct block {
	u64 version;
	struct page *page;
};

struct worker {
	struct task_struct *task;
	u32 number;
	struct block blocks[BLOCKS];
	u64 reads, hits, puts, wrong;
};

static struct worker *workers;
static u32 nr_workers;

static u64 where_is(const struct worker *w, const struct block *b)
{
	return where_of(DEVICE, (u64)(b - w->blocks) * nr_workers + w->number);
}

static u64 word_of(u64 where, u64 version, u32 i)
{
	return (where << 20 ^ version) * 0x9e3779b97f4a7c15ULL + i;
}

static void fill(struct page *page, u64 where, u64 version)
{
	u64 *words = page_address(page);
	u32 i;

	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		words[i] = word_of(where, version, i);
}

static bool has(struct page *page, u64 where, u64 version)
{
	const u64 *words = page_address(page);
	u32 i;

	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		if (words[i] != word_of(where, version, i))
			return false;
	return true;
}

static struct block_page described(struct page *page)
{
	return (struct block_page){ .frame = page_to_pfn(page), .hash = cache_blocks_hash(page_address(page)) };
}

static struct page *new_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page && cache_index_note_prepare(page_to_pfn(page), GFP_KERNEL)) {
		__free_page(page);
		return NULL;
	}
	return page;
}

static void read_block(struct worker *w, struct block *b)
{
	u64 where = where_is(w, b);
	struct block_page page;
	struct ticket ticket;
	struct taken taken;
	u32 frame;

	b->page = new_page();
	if (!b->page)
		return;
	w->reads++;
	frame = page_to_pfn(b->page);
	cache_blocks_take(where, 1, &frame, &taken);
	if (taken.nr) {
		memcpy(page_address(b->page), cache_memory_store.address(taken.places[0]), PAGE_SIZE);
		cache_memory_store.release(taken.places[0]);
		w->hits++;
		w->wrong += !has(b->page, where, b->version);
		return;
	}
	cache_blocks_read_begin(where, 1, &ticket);
	fill(b->page, where, b->version);
	page = described(b->page);
	cache_blocks_read_end(where, 1, &page, &ticket);
}

static void write_block(struct worker *w, struct block *b)
{
	u64 where = where_is(w, b);
	struct block_page page;
	bool blind;
	u32 ids;

	fill(b->page, where, ++b->version);
	page = described(b->page);
	ids = cache_index_alloc(1);
	blind = !ids;
	cache_blocks_write_begin(where, 1, blind);
	if (!blind) {
		cache_blocks_write_pages(where, 1, &page, ids);
		cache_blocks_write_pages_end(where, 1, &page.frame, true);
	}
	cache_blocks_write_end(where, blind);
}

/* Around the page cache, which does not have it. */
static void write_directly(struct worker *w, struct block *b)
{
	u64 where = where_is(w, b);

	cache_blocks_write_begin(where, 1, true);
	b->version++;
	cache_blocks_write_end(where, true);
}

static void evict_block(struct worker *w, struct block *b, bool truncated)
{
	u32 frame = page_to_pfn(b->page);

	if (truncated) {
		cache_blocks_forget(frame);
	} else {
		rcu_read_lock();
		w->puts += !cache_blocks_put(frame, cache_pool_by_id(get_random_u32_below(2)), NESTOR_CACHE_MEMORY);
		rcu_read_unlock();
	}
	__free_page(b->page);
	b->page = NULL;
}

static int work(void *arg)
{
	struct worker *w = arg;

	while (!kthread_should_stop()) {
		struct block *b = &w->blocks[get_random_u32_below(BLOCKS)];
		u32 what = get_random_u32_below(16);

		if (!b->page && what == 0)
			write_directly(w, b);
		else if (!b->page)
			read_block(w, b);
		else if (what < 2)
			write_block(w, b);
		else
			evict_block(w, b, what == 2);
		cond_resched();
	}
	return 0;
}

/* Beside the workers: the kernel takes memory, which comes back. */
static void balance(void)
{
	unsigned long end = jiffies + selftest * HZ;

	while (time_before(jiffies, end)) {
		while (cache_index_wants_growth() && !cache_index_grow())
			;
		cache_memory_shrink(STORE_PAGES / 16);
		cache_memory_balance();
		schedule_timeout_uninterruptible(HZ / 50);
	}
}

static int start(void)
{
	const struct nestor_cache_pool pools[] = { { .id = 0, .weight = { 60 } }, { .id = 1, .cgroup = 1, .weight = { 40 } } };
	u32 i;
	int r;

	cache_pools_open();
	r = cache_pool_set(&pools[0]) ?: cache_pool_set(&pools[1]);
	if (r)
		return r;
	cache_memory_set_limit(STORE_PAGES);
	cache_memory_balance();
	for (i = 0; i < nr_workers; i++) {
		struct worker *w = &workers[i];
		struct task_struct *task;

		w->number = i;
		task = kthread_run(work, w, "nestor-selftest");
		if (IS_ERR(task))
			return PTR_ERR(task);
		w->task = task;
	}
	return 0;
}

static u64 entries_used(void)
{
	u64 all, free;

	cache_index_count(&all, &free);
	return all - free;
}

static void stop(void)
{
	u32 i, j;

	for (i = 0; i < nr_workers; i++) {
		if (workers[i].task)
			kthread_stop(workers[i].task);
		for (j = 0; j < BLOCKS; j++)
			if (workers[i].blocks[j].page)
				evict_block(&workers[i], &workers[i].blocks[j], true);
	}
	cache_memory_set_limit(0);
	for (cache_memory_balance(); cache_memory_held(); cache_memory_balance())
		wait_a_tick();
	cache_blocks_forget_device(DEVICE);
	cache_pools_close();
}

int cache_selftest_run(void)
{
	u64 reads = 0, hits = 0, puts = 0, wrong = 0, used, lost;
	u32 i;
	int r;

	if (!selftest)
		return 0;
	r = cache_index_open(totalram_pages(), frames_end());
	if (r)
		return r;
	used = entries_used();
	nr_workers = min_t(u32, 2 * num_online_cpus(), WORKERS_MAX);
	workers = kvcalloc(nr_workers, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	r = start();
	if (!r)
		balance();
	stop();
	lost = entries_used() - used;
	for (i = 0; i < nr_workers; i++) {
		reads += workers[i].reads;
		hits += workers[i].hits;
		puts += workers[i].puts;
		wrong += workers[i].wrong;
	}
	kvfree(workers);
	if (r)
		return r;
	pr_info("nestor: selftest: %u workers, %llu reads, %llu of them hits, %llu puts; %llu wrong, %llu entries lost\n",
		nr_workers, reads, hits, puts, wrong, lost);
	return wrong || lost || !hits ? -EILSEQ : 0;
}
