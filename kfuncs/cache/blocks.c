// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/store.h"

#define BLOCK_SIZE_BYTES (1U << BLOCK_SHIFT)

const struct cache_store *cache_stores[NESTOR_CACHE_STORES];

static bool is_stored(const struct entry *e)
{
	return entry_state(e) == ENTRY_IN_MEMORY || entry_state(e) == ENTRY_IN_SSD;
}

static enum nestor_cache_store store_of(const struct entry *e)
{
	return entry_state(e) == ENTRY_IN_SSD ? NESTOR_CACHE_SSD : NESTOR_CACHE_MEMORY;
}

/* Nobody outside can know which contents share a hash. */
static u64 hash_seed;

void cache_blocks_open(const struct cache_store *const stores[NESTOR_CACHE_STORES], u64 seed)
{
	memcpy(cache_stores, stores, sizeof(cache_stores));
	hash_seed = seed;
}

u64 cache_blocks_hash(const void *page)
{
	return xxh64(page, BLOCK_SIZE_BYTES, hash_seed);
}

/* ---- under the group's lock ---- */

/* Unlinks what a store has, unless who evicts it has it already: then he frees it. */
static void drop_stored(u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	const struct cache_store *store = cache_stores[store_of(e)];
	struct cache_pool *pool;
	u32 place = e->place;
	bool ours;

	rcu_read_lock();
	pool = cache_pool_by_id(entry_pool(e));
	ours = pool && store->take(pool, id);
	rcu_read_unlock();
	if (!ours) {
		entry_set(e, entry_where(e), entry_pool(e), ENTRY_DEAD);
		return;
	}
	cache_index_unlink(id);
	store->release(place);
	cache_index_free(id);
}

static void drop(u32 id)
{
	if (is_stored(cache_index_entry_by_id(id))) {
		drop_stored(id);
		return;
	}
	cache_index_unlink(id);
	cache_index_free(id);
}

/* Another writer, who leaves no entry, comes over a block. */
static void forget_or_contest(u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);

	if (entry_state(e) == ENTRY_CONTESTED)
		return;
	if (entry_state(e) == ENTRY_WRITING) {
		entry_set(e, entry_where(e), 0, ENTRY_CONTESTED);
		e->place = 1;
		return;
	}
	drop(id);
}

/* Makes @id say that the page in @frame is of block @where. Returns whose the frame was, or 0. */
static u32 link_page(u32 id, u64 where, const struct block_page *page, enum entry_state state)
{
	struct entry *e = cache_index_entry_by_id(id);
	u32 before;

	entry_set(e, where, 0, state);
	e->hash = page->hash;
	e->place = page->frame;
	cache_index_link(id);
	return cache_index_note_set(page->frame, id, &before) && before != id ? before : 0;
}

/* ---- without it ---- */

static bool claims(const struct entry *e, u64 where, u32 frame)
{
	return entry_where(e) == where && entry_state(e) == ENTRY_RESIDENT && READ_ONCE(e->place) == frame;
}

/* A frame was noted for another block while @id still claimed it: that was missed when it left the page cache. */
static void drop_if_claims(u32 id, u32 frame)
{
	struct entry *e = cache_index_entry_by_id(id);
	u64 where = entry_where(e);
	struct group *g = cache_index_group_of(where);
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	if (claims(e, where, frame))
		drop(id);
	spin_unlock_irqrestore(&g->lock, flags);
}

static void drop_claims(const u32 *ids, const struct block_page *pages, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (ids[i])
			drop_if_claims(ids[i], pages[i].frame);
}

/* ---- reads ---- */

/* Under the group's lock. False: not there, or on its way out, or not in one piece with what was taken before. */
static bool take_one(u64 where, u32 to, struct taken *taken, u32 *ret_before)
{
	u32 id = cache_index_find(where), place;
	struct entry *e = cache_index_entry_by_id(id);
	struct cache_pool *pool;

	if (!id || !is_stored(e))
		return false;
	place = e->place;
	if (taken->nr &&
	    (store_of(e) != taken->store || !cache_stores[taken->store]->adjacent(taken->places[taken->nr - 1], place)))
		return false;
	pool = cache_pool_by_id(entry_pool(e));
	if (!pool || !cache_stores[store_of(e)]->take(pool, id))
		return false;
	taken->store = store_of(e);
	taken->places[taken->nr++] = place;
	pool_count(pool, hits[taken->store], 1);
	*ret_before = 0;
	if (cache_index_note_set(to, id, ret_before)) {
		entry_set(e, where, 0, ENTRY_RESIDENT);
		e->place = to;
	} else {
		cache_index_unlink(id);
		cache_index_free(id);
	}
	return true;
}

void cache_blocks_take(u64 where, u32 nr, const u32 *to, struct taken *taken)
{
	struct group *g = cache_index_group_of(where);
	u32 before[BLOCKS_BATCH];
	unsigned long flags;
	u32 i;

	taken->store = NESTOR_CACHE_MEMORY;
	taken->nr = 0;
	rcu_read_lock();
	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr && i < BLOCKS_BATCH; i++)
		if (!take_one(where + i, to[i], taken, &before[i]))
			break;
	spin_unlock_irqrestore(&g->lock, flags);
	rcu_read_unlock();
	for (i = 0; i < taken->nr; i++)
		if (before[i])
			drop_if_claims(before[i], to[i]);
}

u64 cache_blocks_expected(u64 where, u32 frame)
{
	struct group *g = cache_index_group_of(where);
	struct entry *e;
	unsigned long flags;
	u64 hash = 0;
	u32 id;

	spin_lock_irqsave(&g->lock, flags);
	id = cache_index_find(where);
	e = cache_index_entry_by_id(id);
	if (id && claims(e, where, frame))
		hash = e->hash;
	spin_unlock_irqrestore(&g->lock, flags);
	return hash;
}

u32 cache_blocks_read_begin(u64 where, u32 nr, struct ticket *ticket)
{
	struct group *g = cache_index_group_of(where);
	unsigned long flags;
	u32 i, id;

	spin_lock_irqsave(&g->lock, flags);
	ticket->generation = g->generation;
	ticket->alone = !g->writers;
	for (i = 1; i < nr; i++) {
		id = cache_index_find(where + i);
		if (id && is_stored(cache_index_entry_by_id(id)))
			break;
	}
	spin_unlock_irqrestore(&g->lock, flags);
	return i;
}

/* Under the group's lock. Makes what is known of a block be this, with the first entry of *ids. Returns as link_page(). */
static u32 learn(u64 where, const struct block_page *page, u32 *ids)
{
	u32 id = cache_index_find(where), fresh = *ids;

	if (id)
		drop(id);
	*ids = cache_index_entry_by_id(fresh)->chain;
	return link_page(fresh, where, page, ENTRY_RESIDENT);
}

void cache_blocks_read_end(u64 where, u32 nr, const struct block_page *pages, const struct ticket *ticket)
{
	struct group *g = cache_index_group_of(where);
	u32 before[BLOCKS_BATCH] = {};
	unsigned long flags;
	u32 ids, i;

	if (!ticket->alone)
		return;
	ids = cache_index_alloc(nr);
	if (!ids)
		return;
	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr && g->generation == ticket->generation; i++)
		before[i] = learn(where + i, &pages[i], &ids);
	spin_unlock_irqrestore(&g->lock, flags);
	cache_index_free(ids);
	drop_claims(before, pages, nr);
}

/* ---- writes ---- */

void cache_blocks_write_begin(u64 where, u32 nr, bool blind)
{
	struct group *g = cache_index_group_of(where);
	unsigned long flags;
	u32 i, id;

	spin_lock_irqsave(&g->lock, flags);
	g->generation++;
	g->writers++;
	g->blind += blind;
	for (i = 0; blind && i < nr; i++) {
		id = cache_index_find(where + i);
		if (id)
			forget_or_contest(id);
	}
	spin_unlock_irqrestore(&g->lock, flags);
}

/* Under the group's lock. True: @fresh is in the index now. */
static bool write_page(u64 where, const struct block_page *page, u32 fresh, bool blind, u32 *ret_before)
{
	u32 id = cache_index_find(where);
	struct entry *e = cache_index_entry_by_id(id);

	if (id && entry_state(e) == ENTRY_CONTESTED) {
		e->place++;
		return false;
	}
	if (id && entry_state(e) == ENTRY_WRITING) {
		entry_set(e, where, 0, ENTRY_CONTESTED);
		e->place = 2;
		return false;
	}
	if (id)
		drop(id);
	*ret_before = link_page(fresh, where, page, ENTRY_WRITING);
	if (blind) {
		entry_set(cache_index_entry_by_id(fresh), where, 0, ENTRY_CONTESTED);
		cache_index_entry_by_id(fresh)->place = 1;
	}
	return true;
}

u32 cache_blocks_write_pages(u64 where, u32 nr, const struct block_page *pages, u32 ids)
{
	struct group *g = cache_index_group_of(where);
	u32 before[BLOCKS_BATCH] = {};
	u32 unused = 0, next, i;
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr; i++, ids = next) {
		next = cache_index_entry_by_id(ids)->chain;
		if (write_page(where + i, &pages[i], ids, g->blind, &before[i]))
			continue;
		cache_index_entry_by_id(ids)->chain = unused;
		unused = ids;
	}
	spin_unlock_irqrestore(&g->lock, flags);
	cache_index_free(unused);
	drop_claims(before, pages, nr);
	return ids;
}

/* Under the group's lock. */
static void write_page_end(u64 where, u32 frame, bool good)
{
	u32 id = cache_index_find(where);
	struct entry *e = cache_index_entry_by_id(id);

	if (!id)
		return;
	if (entry_state(e) == ENTRY_WRITING && e->place == frame && good)
		entry_set(e, where, 0, ENTRY_RESIDENT);
	else if (entry_state(e) == ENTRY_WRITING || (entry_state(e) == ENTRY_CONTESTED && !--e->place))
		drop(id);
}

void cache_blocks_write_pages_end(u64 where, u32 nr, const u32 *frames, bool good)
{
	struct group *g = cache_index_group_of(where);
	unsigned long flags;
	u32 i;

	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr; i++)
		write_page_end(where + i, frames[i], good);
	spin_unlock_irqrestore(&g->lock, flags);
}

void cache_blocks_write_end(u64 where, bool blind)
{
	struct group *g = cache_index_group_of(where);
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	g->writers--;
	g->blind -= blind;
	spin_unlock_irqrestore(&g->lock, flags);
}

/* ---- pages that leave the page cache ---- */

void cache_blocks_forget(u32 frame)
{
	u32 id = cache_index_note_take(frame);

	if (id)
		drop_if_claims(id, frame);
}

/* The page's copy is in @place of @store, and has @hash. Makes it the store's if it is still the block's. */
static int commit_put(u32 id, u32 frame, struct cache_pool *pool, enum nestor_cache_store store, u32 place, u64 hash)
{
	struct entry *e = cache_index_entry_by_id(id);
	u64 where = entry_where(e);
	struct group *g = cache_index_group_of(where);
	unsigned long flags;
	int r = 0;

	spin_lock_irqsave(&g->lock, flags);
	if (!claims(e, where, frame)) {
		r = -NESTOR_CACHE_DROP_RACED - 1;
	} else if (e->hash != hash) {
		r = -NESTOR_CACHE_DROP_TRANSFORMED - 1;
		drop(id);
	} else {
		entry_set(e, where, pool->config.id, ENTRY_IN_MEMORY + store);
		e->place = place;
		cache_stores[store]->commit(pool, id, place);
	}
	spin_unlock_irqrestore(&g->lock, flags);
	if (r)
		cache_stores[store]->cancel(place);
	return r;
}

int cache_blocks_put(u32 frame, struct cache_pool *pool, enum nestor_cache_store store)
{
	u32 id = cache_index_note_take(frame), place;
	struct entry *e;
	void *copy;

	/* Before the first attach there are no notes and no entries. */
	if (!id)
		return -NESTOR_CACHE_DROP_UNKNOWN - 1;
	e = cache_index_entry_by_id(id);
	if (!claims(e, entry_where(e), frame))
		return -NESTOR_CACHE_DROP_RACED - 1;
	place = cache_stores[store]->reserve(pool, &copy);
	if (!place) {
		drop_if_claims(id, frame);
		return -NESTOR_CACHE_DROP_NO_ROOM - 1;
	}
	memcpy(copy, page_address(pfn_to_page(frame)), BLOCK_SIZE_BYTES);
	return commit_put(id, frame, pool, store, place, cache_blocks_hash(copy));
}

bool cache_blocks_move(u32 id, struct cache_pool *pool, const void *from, enum nestor_cache_store store)
{
	struct entry *e = cache_index_entry_by_id(id);
	struct group *g = cache_index_group_of(entry_where(e));
	unsigned long flags;
	void *copy;
	u32 place = cache_stores[store]->reserve(pool, &copy);
	bool alive;

	if (!place)
		return false;
	memcpy(copy, from, BLOCK_SIZE_BYTES);
	spin_lock_irqsave(&g->lock, flags);
	alive = entry_state(e) != ENTRY_DEAD;
	if (alive) {
		entry_set(e, entry_where(e), pool->config.id, ENTRY_IN_MEMORY + store);
		e->place = place;
		cache_stores[store]->commit(pool, id, place);
	}
	spin_unlock_irqrestore(&g->lock, flags);
	if (!alive)
		cache_stores[store]->cancel(place);
	return alive;
}

/* ---- for stores ---- */

void cache_blocks_evicted(u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	struct group *g = cache_index_group_of(entry_where(e));
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	cache_index_unlink(id);
	spin_unlock_irqrestore(&g->lock, flags);
	cache_index_free(id);
}

/* A dead one belongs to who took it off its list. */
static void forget_one(u32 id, void *unused)
{
	if (entry_state(cache_index_entry_by_id(id)) != ENTRY_DEAD)
		forget_or_contest(id);
}

void cache_blocks_forget_device(u8 device)
{
	cache_index_for_each(device, forget_one, NULL);
}
