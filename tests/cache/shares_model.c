// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 30, lane: free
 * Who has how much of the memory store: containers that put pages at different rates, begin in different orders, and come and
 * go, over the shipped pools and stores. Beside it the same puts without pools, oldest out first.
 */
#include "tests/cache/userspace/kernel.h"

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"
#include "tests/harness/tap.h"

#define LIMIT 16384ULL /* pages of the store */
#define CONTAINERS 4
#define ROUND 16 /* pages that one puts before the next one's turn, times its rate */

static u32 frame; /* of the page that is put again and again */
static u64 next_block[CONTAINERS + 1];
static bool without_pools;

void wait_a_tick(void)
{
}

/* Container @c, from 1, reads a page that nobody has read before, and loses it. */
static void put(u32 c)
{
	u64 where = where_of((u8)c, next_block[c]++);
	struct block_page page = { .frame = frame };
	struct ticket ticket;

	*(u64 *)cache_memory_of_frame(frame) = where;
	page.hash = cache_blocks_hash(cache_memory_of_frame(frame));
	cache_blocks_read_begin(where, 1, &ticket);
	cache_blocks_read_end(where, 1, &page, &ticket);
	cache_blocks_put(frame, cache_pool_by_id(without_pools ? 1 : c), NESTOR_CACHE_MEMORY);
	cache_memory_balance();
	cache_index_grow();
}

static void count_one(u32 id, void *n)
{
	*(u64 *)n += entry_state(cache_index_entry_by_id(id)) == ENTRY_IN_MEMORY;
}

/* In percent of the store. */
static double part(u32 c)
{
	u64 pages = 0;

	cache_index_for_each((u8)c, count_one, &pages);
	return 100.0 * (double)pages / LIMIT;
}

static void weigh(u32 c, u32 weight)
{
	struct nestor_cache_pool pool = { .id = c, .weight = { weight } };

	cache_pool_set(&pool);
}

/* One turnover: as many puts as the store has pages, and of each as many as its share, in turns. A rate of 0: none. */
static void turnover(const u32 rates[CONTAINERS + 1])
{
	u64 puts[CONTAINERS + 1] = { 0 }, all = 0, wanted[CONTAINERS + 1] = { 0 };
	bool more = true;
	u32 c, i;

	for (c = 1; c <= CONTAINERS; c++)
		wanted[c] = rates[c] ? cache_pool_entitlement(cache_pool_by_id(c), NESTOR_CACHE_MEMORY, LIMIT) : 0;
	while (more || all < LIMIT) {
		more = false;
		for (c = 1; c <= CONTAINERS; c++) {
			for (i = 0; i < rates[c] * ROUND; i++, puts[c]++, all++)
				put(c);
			more = more || puts[c] < wanted[c];
		}
	}
}

static void open_store(void)
{
	const struct cache_store *const stores[] = { &cache_memory_store, &cache_ssd_store };
	u32 c;

	frames_open(24576);
	if (cache_index_open(65536, kernel_frames))
		exit(1);
	cache_blocks_open(stores, 0);
	frame = page_to_pfn(alloc_page(GFP_KERNEL));
	cache_index_note_prepare(frame, GFP_KERNEL);
	cache_memory_open();
	cache_pools_open();
	for (c = 1; c <= CONTAINERS; c++)
		weigh(c, 0);
	cache_memory_set_limit(LIMIT);
	cache_memory_balance();
}

static void close_store(void)
{
	cache_memory_close();
	cache_pools_close();
	cache_index_close();
	frames_close();
}

static bool near(double want, double got, double by)
{
	return got >= want - by && got <= want + by;
}

static void expect(const char *text, const double want[CONTAINERS + 1], double by)
{
	bool good = true;
	u32 c;

	for (c = 1; c <= CONTAINERS; c++)
		good = good && near(want[c], part(c), by);
	ok(good, "%s", text);
	printf("#   %.1f : %.1f : %.1f : %.1f, wanted %.1f : %.1f : %.1f : %.1f\n", part(1), part(2), part(3), part(4), want[1],
	       want[2], want[3], want[4]);
}

/* 60:40; then 50:30:20; then the third moves out, and 60:40 again. */
static void test_phases(const char *name, u32 first, const u32 rates[CONTAINERS + 1])
{
	u32 alone[CONTAINERS + 1] = { 0 }, two[CONTAINERS + 1] = { 0, rates[1], rates[2] };
	char text[128];

	open_store();
	weigh(1, 60);
	weigh(2, 40);
	alone[first] = 1;
	turnover(alone);
	turnover(two);
	snprintf(text, sizeof(text), "cache model: %s: 60:40 after one turnover", name);
	expect(text, (double[]){ 0, 60, 40, 0, 0 }, 2);
	weigh(1, 50);
	weigh(2, 30);
	weigh(3, 20);
	turnover(rates);
	snprintf(text, sizeof(text), "cache model: %s: 50:30:20 after a third container joined", name);
	expect(text, (double[]){ 0, 50, 30, 20, 0 }, 2);
	weigh(1, 60);
	weigh(2, 40);
	weigh(3, 0);
	turnover(two);
	snprintf(text, sizeof(text), "cache model: %s: 60:40 after the third container left", name);
	expect(text, (double[]){ 0, 60, 40, 0, 0 }, 2);
	close_store();
}

static double fifo_part(u32 first, const u32 rates[CONTAINERS + 1])
{
	u32 alone[CONTAINERS + 1] = { 0 };
	double got;

	open_store();
	without_pools = true;
	weigh(1, 100);
	alone[first] = 1;
	turnover(alone);
	turnover(rates);
	got = part(1);
	without_pools = false;
	close_store();
	return got;
}

/* What one does not use the others have by weight; and give back. */
static void test_lending(void)
{
	const u32 three[] = { 0, 1, 1, 1, 0 }, fourth[] = { 0, 0, 0, 0, 1 };
	u64 puts = 0;

	open_store();
	weigh(1, 40);
	weigh(2, 30);
	weigh(3, 20);
	weigh(4, 10);
	turnover(three);
	turnover(three);
	expect("cache model: an idle container's tenth is lent by weight", (double[]){ 0, 44.4, 33.3, 22.2, 0 }, 2);
	while (part(4) < 9.5 && puts++ < LIMIT)
		put(4);
	ok(puts <= LIMIT / 10 + 256, "cache model: after %llu puts a container has its share of %llu pages again", puts,
	   LIMIT / 10);
	turnover(fourth);
	expect("cache model: a container that regains its share leaves the others theirs", (double[]){ 0, 40, 30, 20, 10 }, 2);
	close_store();
}

static void test_life(void)
{
	const u32 both[] = { 0, 1, 1, 0, 0 };

	open_store();
	weigh(1, 1);
	weigh(2, 1);
	turnover(both);
	cache_memory_set_limit(LIMIT / 2);
	cache_memory_balance();
	expect("cache model: at half the limit each of two containers has half of that", (double[]){ 0, 25, 25, 0, 0 }, 1);
	cache_pool_retire(1, cache_memory_drop_pool);
	expect("cache model: a retired container has no pages", (double[]){ 0, 0, 25, 0, 0 }, 1);
	ok(!cache_pool_by_id(1), "cache model: a retired container has no pool");
	close_store();
}

/* In the steady state, per page. What is copied is what the rates of tests/bench/cache.sh are of. */
static void test_cost(void)
{
	const u32 alone[] = { 0, 1, 0, 0, 0 };
	struct kernel_counts before;
	u64 stored;
	struct taken taken;
	u32 i;

	open_store();
	weigh(1, 1);
	turnover(alone);
	turnover(alone);
	before = counts;
	for (i = 0; i < 1000; i++)
		put(1);
	/* put() takes one to know what the page has. */
	is_u64(2000, counts.hashes - before.hashes, "cache model: a put takes one hash");
	is_u64(0, counts.pages - before.pages, "cache model: a put allocates no memory");
	before = counts;
	for (i = 0, stored = 0; i < 1000; i++, stored += taken.nr) {
		cache_blocks_take(where_of(1, next_block[1] - 1 - i), 1, &frame, &taken);
		if (taken.nr)
			cache_memory_store.release(taken.places[0]);
	}
	is_u64(1000, stored, "cache model: a get brings what was put");
	is_u64(0, counts.hashes - before.hashes, "cache model: a get takes no hash");
	is_u64(0, counts.pages - before.pages, "cache model: a get allocates no memory");
	ok(sizeof(struct entry) + sizeof(u32) <= 40, "cache model: the index has %zu bytes for each page",
	   sizeof(struct entry) + sizeof(u32));
	close_store();
}

int main(void)
{
	const u32 even[] = { 0, 1, 1, 1, 0 }, skewed[] = { 0, 1, 3, 1, 0 };
	double first, second;

	test_phases("same rate, container 1 begins", 1, even);
	test_phases("same rate, container 2 begins", 2, even);
	test_phases("container 2 three times faster", 1, skewed);
	test_phases("container 2 three times faster, and begins", 2, skewed);
	test_lending();
	test_life();
	test_cost();
	first = fifo_part(1, (u32[]){ 0, 1, 1, 0, 0 });
	second = fifo_part(1, (u32[]){ 0, 1, 3, 0, 0 });
	printf("# oldest out first, without pools: the first has %.1f %% at the same rate, %.1f %% beside one three times "
	       "faster\n",
	       first, second);
	ok(!near(60, second, 10) && !near(first, second, 10), "cache model: without pools the rate of puts decides");
	return done_testing();
}
