// SPDX-License-Identifier: GPL-2.0
#include "cache_blocks.h"
#include "cache_index.h"
#include "cache_memory.h"
#include "cache_pool.h"

#define BLOCK_SIZE_BYTES (1U << BLOCK_SHIFT)

/* Nobody outside can know which contents share a hash. */
static u64 hash_seed;

void blocks_seed(u64 seed)
{
	hash_seed = seed;
}

u64 block_hash(const void *page)
{
	return xxh64(page, BLOCK_SIZE_BYTES, hash_seed);
}

/* ---- under the group's lock ---- */

/* Unlinks what a store has. The frame goes back, unless who evicts it has it already. */
static void drop_stored(u32 id)
{
	struct entry *e = entry_by_id(id);
	struct cache_pool *pool;
	bool listed;

	rcu_read_lock();
	pool = pool_by_id(entry_pool(e));
	listed = pool && pool_pull(pool, id);
	rcu_read_unlock();
	if (!listed) {
		entry_set(e, entry_where(e), entry_pool(e), ENTRY_DEAD);
		return;
	}
	index_unlink(id);
	memory_release_frame(e->place);
	index_free(id);
}

static void drop(u32 id)
{
	if (entry_state(entry_by_id(id)) >= ENTRY_IN_MEMORY) {
		drop_stored(id);
		return;
	}
	index_unlink(id);
	index_free(id);
}

/* Another writer, who leaves no entry, comes over a block. */
static void forget_or_contest(u32 id)
{
	struct entry *e = entry_by_id(id);

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
	struct entry *e = entry_by_id(id);
	u32 before;

	entry_set(e, where, 0, state);
	e->hash = page->hash;
	e->place = page->frame;
	index_link(id);
	return note_set(page->frame, id, &before) && before != id ? before : 0;
}

/* ---- without it ---- */

/* A frame was noted for another block while @id still claimed it: that was missed when it left the page cache. */
static void drop_if_claims(u32 id, u32 frame)
{
	struct entry *e = entry_by_id(id);
	u64 where = entry_where(e);
	struct group *g = group_of(where);
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	if (entry_where(e) == where && entry_state(e) == ENTRY_RESIDENT && e->place == frame)
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

/* Under the group's lock. False: not there, or on its way out. */
static bool take_one(u64 where, u32 to, u32 *ret_from, u32 *ret_before)
{
	u32 id = index_find(where);
	struct entry *e = entry_by_id(id);
	struct cache_pool *pool;

	if (!id || entry_state(e) != ENTRY_IN_MEMORY)
		return false;
	pool = pool_by_id(entry_pool(e));
	if (!pool || !pool_pull(pool, id))
		return false;
	*ret_from = e->place;
	*ret_before = 0;
	if (note_set(to, id, ret_before)) {
		entry_set(e, where, 0, ENTRY_RESIDENT);
		e->place = to;
	} else {
		index_unlink(id);
		index_free(id);
	}
	pool_count(pool, hits[NESTOR_CACHE_MEMORY], 1);
	return true;
}

u32 blocks_take(u64 where, u32 nr, const u32 *to, u32 *from)
{
	struct group *g = group_of(where);
	u32 before[BLOCKS_BATCH];
	unsigned long flags;
	u32 taken, i;

	rcu_read_lock();
	spin_lock_irqsave(&g->lock, flags);
	for (taken = 0; taken < nr && taken < BLOCKS_BATCH; taken++)
		if (!take_one(where + taken, to[taken], &from[taken], &before[taken]))
			break;
	spin_unlock_irqrestore(&g->lock, flags);
	rcu_read_unlock();
	for (i = 0; i < taken; i++)
		if (before[i])
			drop_if_claims(before[i], to[i]);
	return taken;
}

u32 blocks_read_begin(u64 where, u32 nr, struct ticket *ticket)
{
	struct group *g = group_of(where);
	unsigned long flags;
	u32 i, id;

	spin_lock_irqsave(&g->lock, flags);
	ticket->generation = g->generation;
	ticket->alone = !g->writers;
	for (i = 1; i < nr; i++) {
		id = index_find(where + i);
		if (id && entry_state(entry_by_id(id)) == ENTRY_IN_MEMORY)
			break;
	}
	spin_unlock_irqrestore(&g->lock, flags);
	return i;
}

/* Under the group's lock. Makes what is known of a block be this; takes an entry off *ids if it has none. */
static u32 learn(u64 where, const struct block_page *page, u32 *ids)
{
	u32 id = index_find(where), fresh = *ids, before;

	if (id)
		drop(id);
	*ids = entry_by_id(fresh)->chain;
	before = link_page(fresh, where, page, ENTRY_RESIDENT);
	return before;
}

void blocks_read_end(u64 where, u32 nr, const struct block_page *pages, const struct ticket *ticket)
{
	struct group *g = group_of(where);
	u32 before[BLOCKS_BATCH] = {};
	unsigned long flags;
	u32 ids, i;

	if (!ticket->alone)
		return;
	ids = index_alloc(nr);
	if (!ids)
		return;
	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr && g->generation == ticket->generation; i++)
		before[i] = learn(where + i, &pages[i], &ids);
	spin_unlock_irqrestore(&g->lock, flags);
	index_free(ids);
	drop_claims(before, pages, nr);
}

/* ---- writes ---- */

void blocks_write_begin(u64 where, u32 nr, bool blind)
{
	struct group *g = group_of(where);
	unsigned long flags;
	u32 i, id;

	spin_lock_irqsave(&g->lock, flags);
	g->generation++;
	g->writers++;
	g->blind += blind;
	for (i = 0; blind && i < nr; i++) {
		id = index_find(where + i);
		if (id)
			forget_or_contest(id);
	}
	spin_unlock_irqrestore(&g->lock, flags);
}

/* Under the group's lock. True: @fresh is in the index now. */
static bool write_page(u64 where, const struct block_page *page, u32 fresh, bool blind, u32 *ret_before)
{
	u32 id = index_find(where);
	struct entry *e = entry_by_id(id);

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
		entry_set(entry_by_id(fresh), where, 0, ENTRY_CONTESTED);
		entry_by_id(fresh)->place = 1;
	}
	return true;
}

u32 blocks_write_pages(u64 where, u32 nr, const struct block_page *pages, u32 ids)
{
	struct group *g = group_of(where);
	u32 before[BLOCKS_BATCH] = {};
	u32 unused = 0, next, i;
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr; i++, ids = next) {
		next = entry_by_id(ids)->chain;
		if (write_page(where + i, &pages[i], ids, g->blind, &before[i]))
			continue;
		entry_by_id(ids)->chain = unused;
		unused = ids;
	}
	spin_unlock_irqrestore(&g->lock, flags);
	index_free(unused);
	drop_claims(before, pages, nr);
	return ids;
}

/* Under the group's lock. */
static void write_page_end(u64 where, u32 frame, bool good)
{
	u32 id = index_find(where);
	struct entry *e = entry_by_id(id);

	if (!id)
		return;
	if (entry_state(e) == ENTRY_WRITING && e->place == frame && good)
		entry_set(e, where, 0, ENTRY_RESIDENT);
	else if (entry_state(e) == ENTRY_WRITING || (entry_state(e) == ENTRY_CONTESTED && !--e->place))
		drop(id);
}

void blocks_write_pages_end(u64 where, u32 nr, const u32 *frames, bool good)
{
	struct group *g = group_of(where);
	unsigned long flags;
	u32 i;

	spin_lock_irqsave(&g->lock, flags);
	for (i = 0; i < nr; i++)
		write_page_end(where + i, frames[i], good);
	spin_unlock_irqrestore(&g->lock, flags);
}

void blocks_write_end(u64 where, bool blind)
{
	struct group *g = group_of(where);
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	g->writers--;
	g->blind -= blind;
	spin_unlock_irqrestore(&g->lock, flags);
}

/* ---- pages that leave the page cache ---- */

static bool claims(const struct entry *e, u64 where, u32 frame)
{
	return entry_where(e) == where && entry_state(e) == ENTRY_RESIDENT && READ_ONCE(e->place) == frame;
}

void blocks_forget(u32 frame)
{
	u32 id = note_take(frame);

	if (id)
		drop_if_claims(id, frame);
}

/* The page's copy is in @copy, and has @hash. Makes it the store's if it is still the block's. */
static int commit_put(u32 id, u64 where, u32 frame, u32 copy, u64 hash, struct cache_pool *pool)
{
	struct entry *e = entry_by_id(id);
	struct group *g = group_of(where);
	unsigned long flags;
	int r = 0;

	spin_lock_irqsave(&g->lock, flags);
	if (!claims(e, where, frame)) {
		r = -NESTOR_CACHE_DROP_RACED - 1;
	} else if (e->hash != hash) {
		r = -NESTOR_CACHE_DROP_TRANSFORMED - 1;
		drop(id);
	} else {
		entry_set(e, where, pool->config.id, ENTRY_IN_MEMORY);
		e->place = copy;
		pool_push(pool, id);
	}
	spin_unlock_irqrestore(&g->lock, flags);
	return r;
}

int blocks_put(u32 frame, struct cache_pool *pool)
{
	u32 id = note_take(frame), copy;
	struct entry *e = entry_by_id(id);
	u64 where = entry_where(e);
	void *to;
	int r;

	if (!id)
		return -NESTOR_CACHE_DROP_UNKNOWN - 1;
	if (!claims(e, where, frame))
		return -NESTOR_CACHE_DROP_RACED - 1;
	copy = memory_take_frame();
	if (!copy) {
		drop_if_claims(id, frame);
		return -NESTOR_CACHE_DROP_NO_ROOM - 1;
	}
	to = memory_of_frame(copy);
	memcpy(to, memory_of_frame(frame), BLOCK_SIZE_BYTES);
	r = commit_put(id, where, frame, copy, block_hash(to), pool);
	if (r)
		memory_release_frame(copy);
	return r;
}

/* ---- for stores ---- */

void blocks_evicted(u32 id)
{
	struct entry *e = entry_by_id(id);
	struct group *g = group_of(entry_where(e));
	unsigned long flags;

	spin_lock_irqsave(&g->lock, flags);
	index_unlink(id);
	spin_unlock_irqrestore(&g->lock, flags);
	index_free(id);
}

static void forget_one(u32 id, void *unused)
{
	forget_or_contest(id);
}

void blocks_forget_device(u8 device)
{
	index_for_each(device, forget_one, NULL);
}
