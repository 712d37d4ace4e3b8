// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 10, lane: free
 * The shipped SSD store over a device that fails for a while: what it did not write it gives up, so that it has buffers again,
 * and takes pages as before.
 */
#include "tests/cache/userspace/kernel.h"

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"
#include "tests/harness/tap.h"

#define SEGMENTS 100
#define OUTAGE 40 /* segments that fail: more than there may be buffers */
#define POOL 1

static u32 frame; /* of the page that is put again and again */
static u64 next_block;
static bool fails;

void wait_a_tick(void)
{
}

static void write_ssd(u32 segment, struct page *const pages[SEGMENT_SLOTS])
{
	(void)pages;
	cache_ssd_written(segment, !fails);
}

/* A page that nobody has read before is read, and leaves the page cache. True: the store took it. */
static bool put(void)
{
	u64 where = where_of(1, next_block++);
	struct block_page page = { .frame = frame };
	struct ticket ticket;

	*(u64 *)cache_memory_of_frame(frame) = where;
	page.hash = cache_blocks_hash(cache_memory_of_frame(frame));
	cache_blocks_read_begin(where, 1, &ticket);
	cache_blocks_read_end(where, 1, &page, &ticket);
	cache_ssd_balance();
	cache_index_grow();
	return !cache_blocks_put(frame, cache_pool_by_id(POOL), NESTOR_CACHE_SSD);
}

static u64 put_segments(u32 segments)
{
	u64 stored = 0;
	u32 i;

	for (i = 0; i < segments * SEGMENT_SLOTS; i++)
		stored += put();
	cache_ssd_balance();
	return stored;
}

/* Blocks of which the index says that the SSD has them. */
static void count_stored(u32 id, void *n)
{
	*(u64 *)n += entry_state(cache_index_entry_by_id(id)) == ENTRY_IN_SSD;
}

static u64 stored(void)
{
	u64 n = 0;

	cache_index_for_each(1, count_stored, &n);
	return n;
}

static u64 pool_pages(void)
{
	return cache_pool_by_id(POOL)->pages[NESTOR_CACHE_SSD];
}

int main(void)
{
	const struct cache_store *const stores[] = { &cache_memory_store, &cache_ssd_store };
	const struct nestor_cache_pool pool = { .id = POOL, .weight = { 0, 10 } };

	frames_open(65536);
	if (cache_index_open(65536, kernel_frames))
		return 1;
	cache_blocks_open(stores, 1);
	cache_memory_open();
	cache_pools_open();
	cache_pool_set(&pool);
	cache_ssd_open(SEGMENTS, write_ssd);
	frame = page_to_pfn(alloc_page(GFP_KERNEL));
	cache_index_note_prepare(frame, GFP_KERNEL);

	is_u64(20 * SEGMENT_SLOTS, put_segments(20), "SSD outage: a good device takes all pages");
	fails = true;
	put_segments(OUTAGE);
	is_u64(20 * SEGMENT_SLOTS, stored(), "SSD outage: what the device did not take is given up, the rest stays");
	is_u64(20 * SEGMENT_SLOTS, pool_pages(), "SSD outage: the pool is not charged for what was given up");
	fails = false;
	is_u64(20 * SEGMENT_SLOTS, put_segments(20), "SSD outage: the device takes all pages again afterwards");
	is_u64(40 * SEGMENT_SLOTS, stored(), "SSD outage: the index has what was written before and after");
	cache_ssd_close();
	is_u64(0, stored(), "SSD outage: a closed store leaves nothing in the index");
	return done_testing();
}
