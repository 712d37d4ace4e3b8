// SPDX-License-Identifier: GPL-2.0
/*
 * cacherate [PAGES]: how fast the shipped index and memory store are, one thread, in this process: gets and puts of PAGES
 * (200000) pages, one by one in random order and in runs of 64, with the copies of 4 KiB; then all are given back, without
 * what the kernel does with a page that is freed. Prints nanoseconds per page.
 */
#include <stdio.h>
#include <time.h>

#include "tests/cache/userspace/kernel.h"

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"

static u64 pages;
static u32 *frames; /* of the page cache: block i is in frames[i] */

void wait_a_tick(void)
{
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Blocks in an order that no cache foresees. */
static u64 scattered(u64 i)
{
	return i * 2654435761ULL % pages;
}

static void learn_all(void)
{
	struct block_page page;
	struct ticket ticket;
	u64 i;

	for (i = 0; i < pages; i++) {
		u64 where = where_of(1, i);

		cache_index_grow();
		page.frame = frames[i];
		page.hash = cache_blocks_hash(cache_memory_of_frame(frames[i]));
		cache_blocks_read_begin(where, 1, &ticket);
		cache_blocks_read_end(where, 1, &page, &ticket);
	}
}

static void put_all(u64 (*order)(u64 i))
{
	u64 i;

	for (i = 0; i < pages; i++) {
		if (cache_memory_unbalanced())
			cache_memory_balance();
		if (cache_blocks_put(frames[order(i)], cache_pool_by_id(1), NESTOR_CACHE_MEMORY)) {
			fprintf(stderr, "cacherate: page %llu was not taken\n", i);
			exit(1);
		}
	}
}

static void get(u64 block, u32 nr)
{
	struct taken taken;
	u32 i;

	cache_blocks_take(where_of(1, block), nr, &frames[block], &taken);
	if (taken.nr != nr) {
		fprintf(stderr, "cacherate: block %llu: %u of %u\n", block, taken.nr, nr);
		exit(1);
	}
	for (i = 0; i < nr; i++) {
		memcpy(cache_memory_of_frame(frames[block + i]), cache_memory_of_frame(taken.places[i]), 4096);
		cache_memory_store.release(taken.places[i]);
	}
}

static u64 in_order(u64 i)
{
	return i;
}

static void tell(const char *what, double since)
{
	double ns = (now() - since) / (double)pages;

	printf("%s %.0f ns, %.2f million a second\n", what, ns, 1e3 / ns);
}

int main(int argc, char **argv)
{
	const struct cache_store *const stores[] = { &cache_memory_store, &cache_ssd_store };
	struct nestor_cache_pool pool = { .id = 1, .weight = { 1 } };
	double since;
	u64 i;

	pages = (argc > 1 ? strtoull(argv[1], NULL, 0) : 200000) / 64 * 64;
	frames_open(pages * 2 + 4096);
	if (cache_index_open(pages, kernel_frames))
		return 1;
	cache_blocks_open(stores, 0);
	cache_memory_open();
	cache_pools_open();
	cache_pool_set(&pool);
	frames = calloc(pages, sizeof(*frames));
	for (i = 0; i < pages; i++) {
		frames[i] = page_to_pfn(alloc_page(GFP_KERNEL));
		cache_index_note_prepare(frames[i], GFP_KERNEL);
		memset(cache_memory_of_frame(frames[i]), (int)i, 4096);
	}
	learn_all();
	cache_memory_set_limit(pages);
	/* The store has all its memory after that. */
	put_all(in_order);
	for (i = 0; i < pages; i += 64)
		get(i, 64);
	since = now();
	put_all(scattered);
	tell("put, one by one, random order:", since);
	since = now();
	for (i = 0; i < pages; i++)
		get(scattered(i), 1);
	tell("get, one by one, random order:", since);
	since = now();
	put_all(in_order);
	tell("put, one by one, in order:", since);
	since = now();
	for (i = 0; i < pages; i += 64)
		get(i, 64);
	tell("get, in runs of 64:", since);
	put_all(in_order);
	since = now();
	cache_memory_set_limit(0);
	while (cache_memory_held())
		cache_memory_balance();
	tell("give back, all of it:", since);
	return 0;
}
