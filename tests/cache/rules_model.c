// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 40, lane: free
 * The rules of kfuncs/cache/blocks.c against a model of disk and page cache: I/O that begins, reaches the disk and ends in any
 * order, pages that are dirtied meanwhile, changed in place, dropped unseen, and buffers of direct I/O that are pages of
 * another disk's file, to which a user stores meanwhile. Whatever the store gives is what the disk has.
 *
 * usage: cachemodel [SEED [STEPS]]
 */
#include "tests/cache/userspace/kernel.h"

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/page.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"
#include "tests/harness/tap.h"

#define STEPS 3000000
#define SPAN 25 /* blocks in each of the groups that are used */
#define BLOCKS 2000 /* of the device */
#define FILES 2 /* ways to reach a block: a file, and the disk's own page cache */
#define ALIASED 200 /* of the blocks, those that are reached in both ways; half of all goes on there */
#define FLIGHTS 24
#define LENGTH 8 /* blocks of an I/O, at most */
#define POOLS 4
#define STORE_PAGES 300
#define SEGMENTS 12
#define DEVICE 7

struct cached_page {
	u32 frame; /* 0: none */
	bool locked, dirty, writeback;
};

enum flight_kind { FLIGHT_NONE, FLIGHT_READ, FLIGHT_SSD, FLIGHT_WRITE, FLIGHT_BLIND };

struct flight {
	enum flight_kind kind;
	int file;
	u32 block, nr;
	u64 version[LENGTH]; /* of a blind write */
	bool done[LENGTH]; /* at the disk */
	bool fails, drops_pages;
	struct ticket ticket;
	u32 place; /* of an SSD read */
};

static u64 disk[BLOCKS]; /* version of each block's content */
static struct cached_page cache[FILES][BLOCKS];
static struct flight flights[FLIGHTS];
static u64 versions;
static struct page *ssd_pages[SEGMENTS + 1][SEGMENT_SLOTS]; /* of segments that are being written, else NULL */
static u64 ssd_disk[SEGMENTS + 1][SEGMENT_SLOTS];
static u64 noticed, from_ssd;
static u64 taken, put, refused[NESTOR_CACHE_DROPS], wrong, both;
static u64 state;

static u32 any(u32 below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 20) % below;
}

static bool one_in(u32 n)
{
	return !any(n);
}

static u64 *content(u32 frame)
{
	return cache_memory_of_frame(frame);
}

static void drop_page(struct cached_page *page)
{
	__free_page(pfn_to_page(page->frame));
	*page = (struct cached_page){ 0 };
}

/* ---- what leaves the page cache ---- */

static void evict(int file, u32 block)
{
	struct cached_page *page = &cache[file][block];
	struct cache_pool *pool = cache_pool_by_id(any(POOLS));
	int r;

	if (!page->frame || page->locked || page->dirty || page->writeback)
		return;
	if (one_in(20)) {
		/* missed */
	} else if (one_in(10)) {
		cache_blocks_forget(page->frame);
	} else {
		r = cache_blocks_put(page->frame, pool, one_in(3) ? NESTOR_CACHE_SSD : NESTOR_CACHE_MEMORY);
		if (r)
			refused[-r - 1]++;
		else
			put++;
	}
	drop_page(page);
}

/* A file is cut, or a direct write wants its pages gone. */
static void truncate_page(int file, u32 block)
{
	struct cached_page *page = &cache[file][block];

	if (!page->frame || page->locked || page->writeback)
		return;
	if (!one_in(20))
		cache_blocks_forget(page->frame);
	drop_page(page);
}

/* ---- the SSD ---- */

static void write_ssd(u32 segment, struct page *const pages[SEGMENT_SLOTS])
{
	memcpy(ssd_pages[segment], pages, sizeof(ssd_pages[segment]));
}

static void end_ssd_write(u32 segment)
{
	bool good = !one_in(8);
	u32 i;

	if (!ssd_pages[segment][0])
		return;
	for (i = 0; good && i < SEGMENT_SLOTS; i++)
		ssd_disk[segment][i] = *(u64 *)page_address(ssd_pages[segment][i]);
	ssd_pages[segment][0] = NULL;
	cache_ssd_written(segment, good);
}

/* ---- I/O ---- */

static struct flight *free_flight(void)
{
	u32 i;

	for (i = 0; i < FLIGHTS; i++)
		if (!flights[i].kind)
			return &flights[i];
	return NULL;
}

static u64 where(u32 block)
{
	return where_of(DEVICE, block / SPAN * GROUP_BLOCKS + block % SPAN);
}

static u32 any_block(int file)
{
	return any(file || one_in(2) ? ALIASED : BLOCKS);
}

/* From any block on, as long as it stays in its group. */
static void any_range(int file, u32 *block, u32 *nr)
{
	*block = any_block(file);
	*nr = 1 + any(LENGTH);
	*nr = min_t(u32, *nr, SPAN - *block % SPAN);
}

static void check_taken(int file, u32 block)
{
	struct cached_page *page = &cache[file][block];
	u64 got = *content(page->frame);

	taken++;
	page->locked = false;
	if (got != disk[block] && !wrong++)
		printf("# block %u: version %llu from the store, %llu on the disk\n", block, got, disk[block]);
}

/* How many blocks of it a store has. Those on the SSD take a flight. */
static u32 serve(int file, u32 block, u32 nr, struct flight *f)
{
	const struct cache_store *store;
	struct taken got;
	u32 to[LENGTH], i;

	for (i = 0; i < nr; i++)
		to[i] = cache[file][block + i].frame;
	cache_blocks_take(where(block), nr, to, &got);
	store = cache_stores[got.store];
	if (got.nr && !store->address(got.places[0])) {
		*f = (struct flight){ .kind = FLIGHT_SSD, .file = file, .block = block, .nr = got.nr, .place = got.places[0] };
		return got.nr;
	}
	for (i = 0; i < got.nr; i++) {
		memcpy(content(to[i]), store->address(got.places[i]), 1 << BLOCK_SHIFT);
		store->release(got.places[i]);
		check_taken(file, block + i);
	}
	return got.nr;
}

static void start_read(void)
{
	struct flight *f = free_flight();
	int file = any(FILES);
	u32 block, nr, i, n;

	any_range(file, &block, &nr);
	for (i = 0; f && i < nr && !cache[file][block + i].frame; i++) {
		u32 frame = page_to_pfn(alloc_page(GFP_KERNEL));

		cache_index_note_prepare(frame, GFP_KERNEL);
		memset(content(frame), 0, 1 << BLOCK_SHIFT);
		cache[file][block + i] = (struct cached_page){ .frame = frame, .locked = true };
	}
	nr = f ? i : 0;
	while (nr && f) {
		n = serve(file, block, nr, f);
		if (!n) {
			*f = (struct flight){ .kind = FLIGHT_READ, .file = file, .block = block };
			f->nr = n = cache_blocks_read_begin(where(block), nr, &f->ticket);
		}
		if (f->kind)
			f = free_flight();
		block += n;
		nr -= n;
	}
	/* Nothing in flight for the rest: their reads were given up. */
	for (i = 0; i < nr; i++)
		drop_page(&cache[file][block + i]);
}

static void start_write(void)
{
	struct flight *f = free_flight();
	struct block_page pages[LENGTH];
	int file = any(FILES);
	u32 block, nr, i, ids;

	any_range(file, &block, &nr);
	for (i = 0; i < nr && cache[file][block + i].dirty && !cache[file][block + i].writeback; i++)
		;
	nr = i;
	if (!f || !nr)
		return;
	*f = (struct flight){ .kind = FLIGHT_WRITE, .file = file, .block = block, .nr = nr, .fails = one_in(20) };
	for (i = 0; i < nr; i++) {
		struct cached_page *page = &cache[file][block + i];

		page->dirty = false;
		page->writeback = true;
		pages[i] = (struct block_page){ page->frame, cache_blocks_hash(content(page->frame)) };
	}
	ids = cache_index_alloc(nr);
	cache_blocks_write_begin(where(block), nr, !ids);
	if (ids)
		cache_blocks_write_pages(where(block), nr, pages, ids);
	else
		f->file = -file - 1; /* tells its end */
}

static void start_blind(void)
{
	struct flight *f = free_flight();
	u32 block, nr, i;

	any_range(0, &block, &nr);
	if (!f)
		return;
	*f = (struct flight){ .kind = FLIGHT_BLIND, .block = block, .nr = nr, .drops_pages = !one_in(4) };
	for (i = 0; i < nr; i++)
		f->version[i] = ++versions;
	cache_blocks_write_begin(where(block), nr, true);
}

static struct cached_page *flight_page(struct flight *f, u32 i)
{
	return &cache[f->file < 0 ? -f->file - 1 : f->file][f->block + i];
}

/* One block of it reaches the disk, or comes from there. */
static void reach_disk(struct flight *f, u32 i)
{
	f->done[i] = true;
	if (f->kind == FLIGHT_SSD)
		*content(flight_page(f, i)->frame) = ssd_disk[f->place >> SEGMENT_SHIFT][f->place % SEGMENT_SLOTS + i];
	else if (f->kind == FLIGHT_BLIND)
		disk[f->block + i] = f->version[i];
	else if (f->kind == FLIGHT_READ)
		*content(flight_page(f, i)->frame) = disk[f->block + i];
	else if (!f->fails || one_in(2))
		disk[f->block + i] = *content(flight_page(f, i)->frame);
}

static void end_read(struct flight *f)
{
	struct block_page pages[LENGTH];
	u32 i;

	for (i = 0; i < f->nr; i++) {
		flight_page(f, i)->locked = false;
		pages[i].frame = flight_page(f, i)->frame;
		pages[i].hash = cache_blocks_hash(content(pages[i].frame));
	}
	cache_blocks_read_end(where(f->block), f->nr, pages, &f->ticket);
}

/* As the target does: what is not as the index says comes from the disk. */
static void end_ssd_read(struct flight *f)
{
	bool good = true;
	u32 i;

	for (i = 0; i < f->nr; i++) {
		u32 frame = flight_page(f, i)->frame;

		good = good && cache_blocks_hash(content(frame)) == cache_blocks_expected(where(f->block + i), frame);
		cache_ssd_store.release(f->place + i);
	}
	for (i = 0; i < f->nr; i++) {
		if (good) {
			from_ssd++;
			check_taken(f->file, f->block + i);
			continue;
		}
		noticed++;
		cache_blocks_forget(flight_page(f, i)->frame);
		*content(flight_page(f, i)->frame) = disk[f->block + i];
		flight_page(f, i)->locked = false;
	}
}

static void end_write(struct flight *f)
{
	u32 frames[LENGTH], i;

	for (i = 0; i < f->nr; i++) {
		flight_page(f, i)->writeback = false;
		frames[i] = flight_page(f, i)->frame;
	}
	if (f->file >= 0)
		cache_blocks_write_pages_end(where(f->block), f->nr, frames, !f->fails);
	cache_blocks_write_end(where(f->block), f->file < 0);
}

static void end_blind(struct flight *f)
{
	u32 i;
	int file;

	cache_blocks_write_end(where(f->block), true);
	for (file = 0; f->drops_pages && file < FILES; file++)
		for (i = 0; i < f->nr; i++)
			truncate_page(file, f->block + i);
}

static void go_on(struct flight *f)
{
	u32 i;

	for (i = 0; i < f->nr; i++)
		if (!f->done[i] && one_in(3))
			reach_disk(f, i);
	for (i = 0; i < f->nr && f->done[i]; i++)
		;
	if (i < f->nr || one_in(2))
		return;
	if (f->kind == FLIGHT_READ)
		end_read(f);
	else if (f->kind == FLIGHT_SSD)
		end_ssd_read(f);
	else if (f->kind == FLIGHT_WRITE)
		end_write(f);
	else
		end_blind(f);
	f->kind = FLIGHT_NONE;
}

void wait_a_tick(void)
{
	u32 i;

	for (i = 1; i <= SEGMENTS; i++)
		end_ssd_write(i);
	for (i = 0; i < FLIGHTS; i++)
		while (flights[i].kind == FLIGHT_SSD)
			go_on(&flights[i]);
}

/* ---- direct I/O of a page of another disk's file, which a user has mapped ---- */

static void read_into_mapped(u32 block, u32 frame, bool is_noted)
{
	struct block_page page = { .frame = frame };
	struct ticket ticket;

	cache_blocks_read_begin(where(block), 1, &ticket);
	*content(frame) = one_in(2) ? disk[block] : ++versions;
	page.hash = cache_blocks_hash(content(frame));
	if (is_noted)
		cache_blocks_read_end(where(block), 1, &page, &ticket);
}

static void write_from_mapped(u32 block, u32 frame, bool is_noted)
{
	u64 before = *content(frame) = ++versions;
	struct block_page page = { frame, cache_blocks_hash(content(frame)) };
	u32 ids = is_noted ? cache_index_alloc(1) : 0;

	cache_blocks_write_begin(where(block), 1, !ids);
	if (ids)
		cache_blocks_write_pages(where(block), 1, &page, ids);
	disk[block] = one_in(2) ? before : ++versions;
	if (ids)
		cache_blocks_write_pages_end(where(block), 1, &frame, true);
	cache_blocks_write_end(where(block), !ids);
}

static void direct_mapped(void)
{
	struct folio folio = { .mapping = true, .uptodate = true, .mapped = one_in(2) };
	u32 frame = page_to_pfn(alloc_page(GFP_KERNEL));
	bool is_read = one_in(2);

	cache_index_note_prepare(frame, GFP_KERNEL);
	(is_read ? read_into_mapped : write_from_mapped)(any(BLOCKS), frame, page_is_of_cache(&folio, is_read));
	cache_blocks_put(frame, cache_pool_by_id(any(POOLS)), NESTOR_CACHE_MEMORY);
	__free_page(pfn_to_page(frame));
}

/* ---- what else happens ---- */

static void spoil(void)
{
	u32 segment = 1 + any(SEGMENTS), slot = any(SEGMENT_SLOTS);

	ssd_disk[segment][slot] ^= 1;
}

static void change_page(bool in_place)
{
	int file = any(FILES);
	struct cached_page *page = &cache[file][any_block(file)];

	if (!page->frame || page->locked)
		return;
	*content(page->frame) = ++versions;
	if (!in_place || page->dirty || page->writeback)
		page->dirty = true;
}

static void empty_pool(struct cache_pool *pool)
{
	cache_memory_drop_pool(pool);
	cache_ssd_drop_pool(pool);
}

static void change_policy(void)
{
	struct nestor_cache_pool pool = { .id = any(POOLS) };

	if (one_in(4))
		cache_memory_set_limit(one_in(8) ? 0 : any(STORE_PAGES));
	if (one_in(8) && pool.id)
		cache_pool_retire(pool.id, empty_pool);
	pool.weight[NESTOR_CACHE_MEMORY] = any(3) * 10;
	pool.weight[NESTOR_CACHE_SSD] = any(3) * 10;
	cache_pool_set(&pool);
	if (one_in(100)) {
		cache_ssd_close();
		cache_ssd_open(SEGMENTS, write_ssd);
	}
}

static void step(void)
{
	u32 i, what = any(1000);

	if (what < 200)
		start_read();
	else if (what < 280)
		start_write();
	else if (what < 300)
		start_blind();
	else if (what < 400)
		change_page(false);
	else if (what < 405)
		change_page(true);
	else if (what < 600)
		for (i = 0; i < 24; i++)
			evict(any(FILES), any_block(0));
	else if (what < 610)
		truncate_page(any(FILES), any(BLOCKS));
	else if (what < 611)
		change_policy();
	else if (what < 616)
		spoil();
	else if (what < 618)
		direct_mapped();
	else if (what < 622)
		end_ssd_write(1 + any(SEGMENTS));
	else if (flights[i = any(FLIGHTS)].kind)
		go_on(&flights[i]);
	cache_memory_balance();
	cache_ssd_balance();
	cache_index_grow();
}

/* ---- sums ---- */

struct workloads {
	u64 stored, linked;
};

static void count_entry(u32 id, void *arg)
{
	struct workloads *c = arg;
	u32 at = entry_where(cache_index_entry_by_id(id)) & WHERE_MAX_BLOCK,
	    block = at / GROUP_BLOCKS * SPAN + at % GROUP_BLOCKS;

	c->linked++;
	if (entry_state(cache_index_entry_by_id(id)) != ENTRY_IN_MEMORY &&
	    entry_state(cache_index_entry_by_id(id)) != ENTRY_IN_SSD)
		return;
	c->stored += entry_state(cache_index_entry_by_id(id)) == ENTRY_IN_MEMORY;
	/* What the page cache has is not there a second time. A page that the disk's own cache has too may be. */
	both += block >= ALIASED && cache[0][block].frame && !cache[0][block].locked;
}

static void settle(void)
{
	u32 i;

	for (i = 0; i < FLIGHTS; i++)
		while (flights[i].kind)
			go_on(&flights[i]);
}

static void test_sums(void)
{
	struct nestor_cache_pool_state pool;
	const u64 limits[NESTOR_CACHE_STORES] = { cache_memory_limit(), cache_ssd_limit() };
	u64 pages = 0, all, free;
	struct workloads c = { 0 };

	settle();
	cache_index_for_each(DEVICE, count_entry, &c);
	for (pool.pool.id = 0; pool.pool.id < POOLS; pool.pool.id++)
		if (!cache_pool_state(&pool, limits))
			pages += pool.pages[NESTOR_CACHE_MEMORY];
	is_u64(c.stored, pages, "cache model: the pools have the pages that the index says are stored");
	cache_index_count(&all, &free);
	is_u64(all - 1, free + c.linked, "cache model: each index entry is linked or free");
	ok(cache_memory_held() <= cache_memory_limit(), "cache model: the store stays within its limit");

	cache_ssd_close();
	cache_blocks_forget_device(DEVICE);
	cache_index_count(&all, &free);
	is_u64(all - 1, free, "cache model: a removed device leaves no index entry");
	cache_memory_set_limit(0);
	cache_memory_balance();
	is_u64(0, cache_memory_held(), "cache model: a store with limit 0 frees all pages");
}

int main(int argc, char **argv)
{
	u64 steps = argc > 2 ? strtoull(argv[2], NULL, 0) : STEPS, i;
	const struct cache_store *const stores[] = { &cache_memory_store, &cache_ssd_store };
	struct nestor_cache_pool pool = { .weight = { 10, 10 } };

	state = argc > 1 ? strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15 : 0x4e4553544f52;
	frames_open(16384);
	if (cache_index_open(BLOCKS / SPAN * GROUP_BLOCKS, kernel_frames))
		return 1;
	cache_blocks_open(stores, state);
	cache_memory_open();
	cache_pools_open();
	for (pool.id = 0; pool.id < POOLS; pool.id++)
		cache_pool_set(&pool);
	cache_memory_set_limit(STORE_PAGES);
	cache_memory_balance();
	cache_ssd_open(SEGMENTS, write_ssd);
	for (i = 0; i < steps && !wrong; i++) {
		struct workloads c = { 0 };

		step();
		if (i % 1000 == 0)
			cache_index_for_each(DEVICE, count_entry, &c);
	}
	ok(!wrong, "cache model: in %llu steps the store gives what the disk has (%llu pages)", i, taken);
	ok(taken > steps / 100 && put > steps / 100, "cache model: the store was used");
	ok(refused[NESTOR_CACHE_DROP_UNKNOWN] && refused[NESTOR_CACHE_DROP_RACED] && refused[NESTOR_CACHE_DROP_TRANSFORMED] &&
		   refused[NESTOR_CACHE_DROP_NO_ROOM],
	   "cache model: pages were refused for each reason (%llu, %llu, %llu, %llu)", refused[NESTOR_CACHE_DROP_UNKNOWN],
	   refused[NESTOR_CACHE_DROP_RACED], refused[NESTOR_CACHE_DROP_TRANSFORMED], refused[NESTOR_CACHE_DROP_NO_ROOM]);
	ok(from_ssd > steps / 1000 && noticed,
	   "cache model: the SSD was used (%llu pages), and spoilt pages were noticed (%llu)", from_ssd, noticed);
	is_u64(0, both, "cache model: no page is in the page cache and in the store");
	test_sums();
	cache_pools_close();
	cache_index_close();
	frames_close();
	return done_testing();
}
