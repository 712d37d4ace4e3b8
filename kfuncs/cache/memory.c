// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"

#define SPARE_HIGH 1024 /* pages: what puts may take before cache_memory_balance() comes */
#define CALM_NS 1000000000ULL /* how long the kernel must not have wanted memory, before the store takes some again */
#define BATCH_MAX 4096 /* pages that a victim gives before another is sought: 16 MiB, and at most 1/128 of the store */

static struct {
	spinlock_t lock; /* innermost; irqs off */
	u32 spare; /* frames; the first word of each names the next */
	u32 nr_spare;
	u64 held; /* pages, spare ones among them */
	u64 limit;
	u64 yielded_ns; /* when the kernel last wanted some back; 0: never */

	/* Whose turn it is to lose pages, and how many. Races may make it a few more or less. */
	u32 victim;
	u32 victim_left;
} memory;

void *cache_memory_of_frame(u32 frame)
{
	return page_address(pfn_to_page(frame));
}

void cache_memory_open(void)
{
	memset(&memory, 0, sizeof(memory));
	spin_lock_init(&memory.lock);
}

void cache_memory_set_limit(u64 pages)
{
	WRITE_ONCE(memory.limit, pages);
	WRITE_ONCE(memory.victim_left, 0);
}

u64 cache_memory_limit(void)
{
	return READ_ONCE(memory.limit);
}

u64 cache_memory_held(void)
{
	return READ_ONCE(memory.held);
}

static bool is_calm(void)
{
	u64 yielded = READ_ONCE(memory.yielded_ns);

	return !yielded || ktime_get_ns() - yielded > CALM_NS;
}

/* ---- frames ---- */

static void push_spare(u32 frame, bool fresh)
{
	unsigned long flags;

	spin_lock_irqsave(&memory.lock, flags);
	*(u32 *)cache_memory_of_frame(frame) = memory.spare;
	memory.spare = frame;
	WRITE_ONCE(memory.nr_spare, memory.nr_spare + 1);
	WRITE_ONCE(memory.held, memory.held + fresh);
	spin_unlock_irqrestore(&memory.lock, flags);
}

static u32 pop_spare(bool for_good)
{
	unsigned long flags;
	u32 frame;

	spin_lock_irqsave(&memory.lock, flags);
	frame = memory.spare;
	if (frame) {
		memory.spare = *(u32 *)cache_memory_of_frame(frame);
		WRITE_ONCE(memory.nr_spare, memory.nr_spare - 1);
		WRITE_ONCE(memory.held, memory.held - for_good);
	}
	spin_unlock_irqrestore(&memory.lock, flags);
	return frame;
}

static void memory_release(u32 frame)
{
	push_spare(frame, false);
}

/* ---- eviction ---- */

static u64 batch_of(u64 limit)
{
	return clamp_t(u64, limit / 128, 1, BATCH_MAX);
}

static struct cache_pool *next_victim(void)
{
	u64 limit = cache_memory_limit(), batch = batch_of(limit);
	struct cache_pool *pool;
	u32 left = READ_ONCE(memory.victim_left);

	pool = left ? cache_pool_by_id(READ_ONCE(memory.victim)) : NULL;
	if (pool && READ_ONCE(pool->pages[NESTOR_CACHE_MEMORY])) {
		WRITE_ONCE(memory.victim_left, left - 1);
		return pool;
	}
	pool = cache_pool_victim(NESTOR_CACHE_MEMORY, limit, batch);
	if (pool) {
		WRITE_ONCE(memory.victim, pool->config.id);
		WRITE_ONCE(memory.victim_left, batch - 1);
	}
	return pool;
}

/* Has it, with a whole segment more, still no more than its share of the SSD? */
static bool may_demote(const struct cache_pool *pool)
{
	u64 entitled = cache_ssd_limit() ? cache_pool_entitlement(pool, NESTOR_CACHE_SSD, cache_ssd_limit()) : 0;

	return entitled && READ_ONCE(pool->pages[NESTOR_CACHE_SSD]) + SEGMENT_SLOTS <= entitled;
}

/* Its frame; 0: there is nothing to evict. */
static u32 evict_one(void)
{
	struct cache_pool *pool = next_victim();
	u32 id = pool ? cache_pool_pop(pool) : 0;
	u32 frame;

	if (!id)
		return 0;
	frame = cache_index_entry_by_id(id)->place;
	if (may_demote(pool) && cache_blocks_move(id, pool, cache_memory_of_frame(frame), NESTOR_CACHE_SSD)) {
		pool_count(pool, demotions, 1);
		return frame;
	}
	cache_blocks_evicted(id);
	pool_count(pool, evictions[NESTOR_CACHE_MEMORY], 1);
	return frame;
}

/* A spare one, else that of the page which has to go. */
static u32 memory_reserve(struct cache_pool *pool, void **ret_copy)
{
	u32 frame = pop_spare(false);

	if (!frame && (cache_memory_held() >= cache_memory_limit() || !is_calm()))
		frame = evict_one();
	if (frame)
		*ret_copy = cache_memory_of_frame(frame);
	return frame;
}

static void memory_commit(struct cache_pool *pool, u32 id, u32 place)
{
	cache_pool_push(pool, id);
}

/* Each is copied by itself. */
static bool memory_adjacent(u32 place, u32 next)
{
	return true;
}

const struct cache_store cache_memory_store = {
	.reserve = memory_reserve,
	.commit = memory_commit,
	.cancel = memory_release,
	.take = cache_pool_pull,
	.release = memory_release,
	.address = cache_memory_of_frame,
	.adjacent = memory_adjacent,
};

u64 cache_memory_shrink(u64 pages)
{
	u64 freed;
	u32 frame;

	for (freed = 0; freed < pages; freed++) {
		frame = pop_spare(true);
		if (!frame) {
			rcu_read_lock();
			frame = evict_one();
			rcu_read_unlock();
			if (!frame)
				break;
			push_spare(frame, false);
			frame = pop_spare(true);
		}
		if (frame)
			__free_page(pfn_to_page(frame));
	}
	return freed;
}

u64 cache_memory_yield(u64 pages)
{
	WRITE_ONCE(memory.yielded_ns, ktime_get_ns());
	return cache_memory_shrink(pages);
}

/* ---- balance ---- */

static u64 spare_wanted(void)
{
	u64 held = cache_memory_held(), limit = cache_memory_limit(), spare = READ_ONCE(memory.nr_spare);

	if (held >= limit || spare >= SPARE_HIGH || !is_calm())
		return 0;
	return min_t(u64, limit - held, SPARE_HIGH - spare);
}

bool cache_memory_unbalanced(void)
{
	return cache_memory_held() > cache_memory_limit() || spare_wanted() > SPARE_HIGH / 2 ||
	       (!READ_ONCE(memory.nr_spare) && spare_wanted());
}

void cache_memory_balance(void)
{
	u64 want;

	while (cache_memory_held() > cache_memory_limit() &&
	       cache_memory_shrink(min_t(u64, cache_memory_held() - cache_memory_limit(), 256)))
		cond_resched();
	for (want = spare_wanted(); want; want--) {
		struct page *page = alloc_page(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC);

		if (!page)
			break;
		if (page_to_pfn(page) > U32_MAX) {
			__free_page(page);
			break;
		}
		push_spare(page_to_pfn(page), true);
	}
}

/* ---- pools ---- */

void cache_memory_drop_pool(struct cache_pool *pool)
{
	u32 popped, frame;

	while ((popped = cache_pool_pop(pool))) {
		frame = cache_index_entry_by_id(popped)->place;
		cache_blocks_evicted(popped);
		memory_release(frame);
		cond_resched();
	}
}

void cache_memory_close(void)
{
	cache_memory_set_limit(0);
	while (cache_memory_shrink(256))
		cond_resched();
}
