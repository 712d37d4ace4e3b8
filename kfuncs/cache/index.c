// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/index.h"

static_assert(sizeof(struct entry) == 32);

#define CHUNK_SHIFT 12 /* of entries: 128 KiB at a time */
#define CHUNK_ENTRIES (1U << CHUNK_SHIFT)
#define FREE_LOW 16384 /* entries; a bio takes up to 256 */
#define LEAF_SHIFT 10 /* of frames: a page of notes */

static struct {
	struct group *groups;
	u32 *buckets; /* number of the first entry */
	unsigned int group_bits;

	struct entry **chunks; /* each is set once, before any of its numbers is handed out */
	u32 nr_chunks, max_chunks;

	spinlock_t free_lock;
	u32 free; /* list */
	u32 nr_free;

	u32 **leaves; /* notes, by frame */
	u64 frames;
} known;

static DEFINE_MUTEX(open_lock); /* who opens or grows it */

/* Under open_lock. */
static void add_chunk(struct entry *chunk)
{
	u32 first = known.nr_chunks << CHUNK_SHIFT, skipped = first ? 0 : 1, i; /* 0 is the number of none */
	unsigned long flags;

	for (i = skipped; i < CHUNK_ENTRIES - 1; i++)
		chunk[i].chain = first + i + 1;
	spin_lock_irqsave(&known.free_lock, flags);
	known.chunks[known.nr_chunks] = chunk;
	WRITE_ONCE(known.nr_chunks, known.nr_chunks + 1);
	chunk[CHUNK_ENTRIES - 1].chain = known.free;
	known.free = first + skipped;
	known.nr_free += CHUNK_ENTRIES - skipped;
	spin_unlock_irqrestore(&known.free_lock, flags);
}

static int open_index(u64 blocks, u64 frames)
{
	u32 max_chunks = min_t(u64, (blocks >> CHUNK_SHIFT) * 4 + 16, 1U << (32 - CHUNK_SHIFT));
	/* Entry 0, which is none, may be looked at. */
	struct entry *first = kvcalloc(CHUNK_ENTRIES, sizeof(*first), GFP_KERNEL);
	u32 nr_groups, i;

	known.group_bits = ilog2(max_t(u64, roundup_pow_of_two(blocks) >> GROUP_SHIFT, 2));
	nr_groups = 1U << known.group_bits;
	known.groups = kvcalloc(nr_groups, sizeof(*known.groups), GFP_KERNEL);
	known.buckets = kvcalloc(nr_groups, GROUP_BLOCKS * sizeof(*known.buckets), GFP_KERNEL);
	known.chunks = kvcalloc(max_chunks, sizeof(*known.chunks), GFP_KERNEL);
	known.leaves = kvcalloc((frames >> LEAF_SHIFT) + 1, sizeof(*known.leaves), GFP_KERNEL);
	spin_lock_init(&known.free_lock);
	if (!known.groups || !known.buckets || !known.chunks || !known.leaves || !first) {
		kvfree(first);
		cache_index_close();
		return -ENOMEM;
	}
	for (i = 0; i < nr_groups; i++)
		spin_lock_init(&known.groups[i].lock);
	/* Puts and the balance go on meanwhile: for them there is no index before these. */
	WRITE_ONCE(known.max_chunks, max_chunks);
	add_chunk(first);
	smp_store_release(&known.frames, frames);
	return 0;
}

int cache_index_open(u64 blocks, u64 frames)
{
	int r = 0;

	mutex_lock(&open_lock);
	if (!known.frames)
		r = open_index(blocks, frames);
	mutex_unlock(&open_lock);
	return r;
}

void cache_index_close(void)
{
	u64 i;

	for (i = 0; known.chunks && i < known.nr_chunks; i++)
		kvfree(known.chunks[i]);
	for (i = 0; known.leaves && i <= known.frames >> LEAF_SHIFT; i++)
		kfree(known.leaves[i]);
	kvfree(known.leaves);
	kvfree(known.chunks);
	kvfree(known.buckets);
	kvfree(known.groups);
	memset(&known, 0, sizeof(known));
}

/* ---- entries ---- */

struct entry *cache_index_entry_by_id(u32 id)
{
	return &known.chunks[id >> CHUNK_SHIFT][id & (CHUNK_ENTRIES - 1)];
}

bool cache_index_wants_growth(void)
{
	return READ_ONCE(known.nr_free) < FREE_LOW && READ_ONCE(known.nr_chunks) < READ_ONCE(known.max_chunks);
}

int cache_index_grow(void)
{
	struct entry *chunk;

	if (!cache_index_wants_growth())
		return 0;
	chunk = kvcalloc(CHUNK_ENTRIES, sizeof(*chunk), GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	mutex_lock(&open_lock);
	if (known.nr_chunks < known.max_chunks) {
		add_chunk(chunk);
		chunk = NULL;
	}
	mutex_unlock(&open_lock);
	kvfree(chunk);
	return 0;
}

u32 cache_index_alloc(u32 nr)
{
	unsigned long flags;
	u32 list = 0, last, i;

	spin_lock_irqsave(&known.free_lock, flags);
	if (nr && nr <= known.nr_free) {
		list = last = known.free;
		for (i = 1; i < nr; i++)
			last = cache_index_entry_by_id(last)->chain;
		known.free = cache_index_entry_by_id(last)->chain;
		cache_index_entry_by_id(last)->chain = 0;
		known.nr_free -= nr;
	}
	spin_unlock_irqrestore(&known.free_lock, flags);
	return list;
}

void cache_index_free(u32 list)
{
	unsigned long flags;
	u32 next;

	if (!list)
		return;
	spin_lock_irqsave(&known.free_lock, flags);
	for (; list; list = next) {
		struct entry *e = cache_index_entry_by_id(list);

		next = e->chain;
		entry_set(e, 0, 0, ENTRY_FREE);
		e->chain = known.free;
		known.free = list;
		known.nr_free++;
	}
	spin_unlock_irqrestore(&known.free_lock, flags);
}

void cache_index_count(u64 *ret_all, u64 *ret_free)
{
	*ret_all = (u64)READ_ONCE(known.nr_chunks) << CHUNK_SHIFT;
	*ret_free = READ_ONCE(known.nr_free);
}

/* ---- blocks ---- */

static u32 group_number(u64 where)
{
	return hash_64(where >> GROUP_SHIFT, known.group_bits);
}

struct group *cache_index_group_of(u64 where)
{
	return &known.groups[group_number(where)];
}

/* Neighbours lie side by side: a bio walks along a few cache lines. */
static u32 *bucket_of(u64 where)
{
	return &known.buckets[(group_number(where) << GROUP_SHIFT) + (where & (GROUP_BLOCKS - 1))];
}

u32 cache_index_find(u64 where)
{
	u32 id;

	for (id = *bucket_of(where); id; id = cache_index_entry_by_id(id)->chain) {
		struct entry *e = cache_index_entry_by_id(id);

		if (entry_where(e) == where && entry_state(e) != ENTRY_DEAD)
			return id;
	}
	return 0;
}

void cache_index_link(u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	u32 *bucket = bucket_of(entry_where(e));

	e->chain = *bucket;
	*bucket = id;
}

void cache_index_unlink(u32 id)
{
	struct entry *e = cache_index_entry_by_id(id);
	u32 *link = bucket_of(entry_where(e));

	while (*link != id)
		link = &cache_index_entry_by_id(*link)->chain;
	*link = e->chain;
	e->chain = 0;
}

void cache_index_for_each(u8 device, void (*each)(u32 id, void *arg), void *arg)
{
	unsigned long flags;
	u32 g, b, id, next;

	for (g = 0; g < 1U << known.group_bits; g++) {
		spin_lock_irqsave(&known.groups[g].lock, flags);
		for (b = g << GROUP_SHIFT; b < (g + 1) << GROUP_SHIFT; b++)
			for (id = known.buckets[b]; id; id = next) {
				next = cache_index_entry_by_id(id)->chain;
				if (entry_where(cache_index_entry_by_id(id)) >> 40 == device)
					each(id, arg);
			}
		spin_unlock_irqrestore(&known.groups[g].lock, flags);
		cond_resched();
	}
}

/* ---- notes ---- */

int cache_index_note_prepare(u64 frame, gfp_t gfp)
{
	u32 **leaf, *fresh;

	if (frame >= known.frames)
		return -ERANGE;
	leaf = &known.leaves[frame >> LEAF_SHIFT];
	if (READ_ONCE(*leaf))
		return 0;
	fresh = kcalloc(1U << LEAF_SHIFT, sizeof(*fresh), gfp);
	if (!fresh)
		return -ENOMEM;
	if (cmpxchg(leaf, NULL, fresh))
		kfree(fresh);
	return 0;
}

static u32 *note_of(u64 frame)
{
	u32 *leaf = frame < smp_load_acquire(&known.frames) ? READ_ONCE(known.leaves[frame >> LEAF_SHIFT]) : NULL;

	return leaf ? &leaf[frame & ((1U << LEAF_SHIFT) - 1)] : NULL;
}

bool cache_index_note_set(u64 frame, u32 id, u32 *ret_before)
{
	u32 *note = note_of(frame);

	if (!note)
		return false;
	*ret_before = xchg(note, id);
	return true;
}

u32 cache_index_note_take(u64 frame)
{
	u32 *note = note_of(frame);

	/* Most frames have none: no need to take the cache line from others. */
	return note && READ_ONCE(*note) ? xchg(note, 0) : 0;
}
