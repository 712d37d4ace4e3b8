/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exact index of the second-level cache: what is known of each 4 KiB block of a cached device, in 36 bytes.
 *
 * An entry is found by its block. It says that the block's content has this hash, and where it is: in a page of the page
 * cache, in a store, or under way to the disk. What is in no entry is unknown, which is always right.
 *
 * Blocks of the same MiB share a group: its lock guards all their entries, its counters tell of I/O under way. Entries
 * are numbered and their memory stays until cache_index_close(), so that a number which has gone stale may be looked at.
 */
#ifndef NESTOR_KFUNCS_CACHE_INDEX_H
#define NESTOR_KFUNCS_CACHE_INDEX_H

#include "kfuncs/compat.h"

#define BLOCK_SHIFT 12 /* of bytes */
#define GROUP_SHIFT 8 /* of blocks */
#define GROUP_BLOCKS (1U << GROUP_SHIFT)

enum entry_state {
	ENTRY_FREE,
	ENTRY_RESIDENT, /* the page in frame `place` has what the disk has */
	ENTRY_WRITING, /* the page in frame `place` is being written, by one bio alone */
	ENTRY_CONTESTED, /* being written by `place` bios, or by one and something else: nobody knows what it will be */
	ENTRY_IN_MEMORY, /* the memory store has it in frame `place` */
	ENTRY_IN_SSD, /* the SSD store has it in slot `place` */
	ENTRY_DEAD, /* no longer true; whoever took it off its pool's list frees it */
};

struct entry {
	u64 key; /* from bit 0: block 40, device 8, pool 13, state 3; one word, to be read without the lock */
	u64 hash;
	u32 place;
	u32 chain; /* next in its bucket, or in a list of free ones */
	u32 older, newer; /* in its pool's list; protected by the pool's lock */
};

/* Where a block is: what of a key never changes while the entry is linked. */
#define WHERE_BITS 48
#define WHERE_MASK ((1ULL << WHERE_BITS) - 1)
#define WHERE_MAX_BLOCK ((1ULL << 40) - 1)
#define KEY_POOL_SHIFT WHERE_BITS
#define KEY_STATE_SHIFT 61

static inline u64 where_of(u8 device, u64 block)
{
	return (u64)device << 40 | block;
}

static inline u64 entry_where(const struct entry *e)
{
	return READ_ONCE(e->key) & WHERE_MASK;
}

static inline enum entry_state entry_state(const struct entry *e)
{
	return READ_ONCE(e->key) >> KEY_STATE_SHIFT;
}

static inline u32 entry_pool(const struct entry *e)
{
	return READ_ONCE(e->key) >> KEY_POOL_SHIFT & ((1U << (KEY_STATE_SHIFT - KEY_POOL_SHIFT)) - 1);
}

static inline void entry_set(struct entry *e, u64 where, u32 pool, enum entry_state state)
{
	WRITE_ONCE(e->key, where | (u64)pool << KEY_POOL_SHIFT | (u64)state << KEY_STATE_SHIFT);
}

struct group {
	spinlock_t lock; /* irqsave; outer to a pool's lock, and no two groups' at once */
	u32 generation; /* bumped when a write begins */
	u32 writers; /* writes under way */
	u32 blind; /* of them, those that left no entries behind */
};

/*
 * For about so many blocks, of pages in frames below @frames; if it is open already, nothing. Until then there are no notes
 * and no entries, and of all functions only those that say so may be called. 0 or -ENOMEM. May sleep.
 */
int cache_index_open(u64 blocks, u64 frames);
void cache_index_close(void);

/* Are few entries free, and may there be more? Also before it is open. */
bool cache_index_wants_growth(void);
/* Makes room for some more, if so. 0 or -ENOMEM. May sleep. */
int cache_index_grow(void);

/* @nr entries as a list, linked by `chain`; 0: there are not as many. */
u32 cache_index_alloc(u32 nr);
void cache_index_free(u32 list);

struct entry *cache_index_entry_by_id(u32 id);

struct group *cache_index_group_of(u64 where);
/* Under the group's lock. A dead entry is not found. 0: none. */
u32 cache_index_find(u64 where);
void cache_index_link(u32 id);
void cache_index_unlink(u32 id);

/* Calls @each for each linked entry of @device under its group's lock; it may unlink it. May sleep. */
void cache_index_for_each(u8 device, void (*each)(u32 id, void *arg), void *arg);

/*
 * Which entry a page frame belongs to. Notes are hints: the entry decides.
 * cache_index_note_prepare() may sleep, and has to be called before cache_index_note_set() for the same frame; where it failed,
 * cache_index_note_set() does too.
 */
int cache_index_note_prepare(u64 frame, gfp_t gfp);
/* False: no memory for it. Else *@ret_before is what it was. */
bool cache_index_note_set(u64 frame, u32 id, u32 *ret_before);
u32 cache_index_note_take(u64 frame); /* also before it is open */

/* Entries in all, and free ones among them. Also before it is open. */
void cache_index_count(u64 *ret_all, u64 *ret_free);

#endif
