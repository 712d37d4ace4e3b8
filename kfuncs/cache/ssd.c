// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/store.h"

#define FREE_WANTED 4 /* segments at hand for puts, and at most 1/16 of all */
#define BUFFERS_MAX 16 /* beside those that open segments have */

enum segment_state {
	SEGMENT_FREE,
	SEGMENT_OPEN, /* takes pages */
	SEGMENT_FULL, /* waits to be written */
	SEGMENT_WRITING,
	SEGMENT_WRITTEN,
	SEGMENT_FAILED, /* the device did not take it: waits to be given up, as its buffer is needed */
	SEGMENT_DROPPING, /* its entries are being taken out of the index */
};

struct buffer {
	struct buffer *next;
	struct page *pages[SEGMENT_SLOTS];
};

struct segment {
	enum segment_state state;
	u32 used; /* slots handed out */
	u32 pending; /* of them, those whose page is still being copied */
	u32 readers;
	u32 pool;
	u64 filling;
	u32 older, newer; /* of the same pool; 0: none */
	u32 next; /* free one, or in a queue; 0: none */
	u32 *ids; /* entry in each slot, 0: none */
	struct buffer *buffer; /* until it is written, and nobody reads from it */
};

/* Segments in the order in which they came: what waits is found without a walk over all. */
struct queue {
	u32 first, last;
};

static DEFINE_SPINLOCK(ssd_lock); /* all below, and the segments; irqs off, innermost */
static DEFINE_MUTEX(balance_lock); /* who writes, gives up, opens and closes */

static struct {
	struct segment *segments; /* number 0 is none */
	u32 nr;
	bool open; /* puts are taken */
	cache_ssd_write_fn write;
	u32 nr_free, free;
	struct buffer *buffers; /* at hand */
	u32 nr_buffers, buffers_at_hand;
	struct queue full, failed;
	u32 nr_open; /* segments */
	u64 fillings; /* so far */
	struct {
		u32 oldest, newest; /* the newest may be open */
	} of[NESTOR_CACHE_POOLS];
} ssd;

static struct segment *segment_of(u32 place)
{
	return &ssd.segments[place >> SEGMENT_SHIFT];
}

u64 cache_ssd_limit(void)
{
	return READ_ONCE(ssd.open) ? (u64)READ_ONCE(ssd.nr) << SEGMENT_SHIFT : 0;
}

/* ---- under the lock ---- */

static void enqueue(struct queue *q, u32 number)
{
	ssd.segments[number].next = 0;
	if (q->first)
		ssd.segments[q->last].next = number;
	else
		WRITE_ONCE(q->first, number);
	q->last = number;
}

static u32 dequeue(struct queue *q)
{
	u32 number = q->first;

	if (number)
		WRITE_ONCE(q->first, ssd.segments[number].next);
	return number;
}

/* The newest of its pool. */
static void list(u32 number)
{
	struct segment *s = &ssd.segments[number];

	s->newer = 0;
	s->older = ssd.of[s->pool].newest;
	if (s->older)
		ssd.segments[s->older].newer = number;
	else
		ssd.of[s->pool].oldest = number;
	ssd.of[s->pool].newest = number;
}

static void unlist(u32 number)
{
	struct segment *s = &ssd.segments[number];

	if (s->older)
		ssd.segments[s->older].newer = s->newer;
	else
		ssd.of[s->pool].oldest = s->newer;
	if (s->newer)
		ssd.segments[s->newer].older = s->older;
	else
		ssd.of[s->pool].newest = s->older;
}

static void put_buffer(struct segment *s)
{
	if (!s->buffer || s->readers || (s->state != SEGMENT_FREE && s->state != SEGMENT_WRITTEN))
		return;
	s->buffer->next = ssd.buffers;
	ssd.buffers = s->buffer;
	WRITE_ONCE(ssd.buffers_at_hand, ssd.buffers_at_hand + 1);
	s->buffer = NULL;
}

static void free_segment(u32 number)
{
	struct segment *s = &ssd.segments[number];

	s->state = SEGMENT_FREE;
	put_buffer(s);
	s->next = ssd.free;
	ssd.free = number;
	WRITE_ONCE(ssd.nr_free, ssd.nr_free + 1);
}

static u32 open_segment(u32 pool)
{
	u32 number = ssd.free;
	struct segment *s = &ssd.segments[number];

	if (!number || !ssd.buffers)
		return 0;
	ssd.free = s->next;
	WRITE_ONCE(ssd.nr_free, ssd.nr_free - 1);
	s->state = SEGMENT_OPEN;
	s->used = s->pending = 0;
	s->pool = pool;
	s->filling = ++ssd.fillings;
	WRITE_ONCE(ssd.nr_open, ssd.nr_open + 1);
	s->buffer = ssd.buffers;
	ssd.buffers = s->buffer->next;
	WRITE_ONCE(ssd.buffers_at_hand, ssd.buffers_at_hand - 1);
	list(number);
	return number;
}

static void settle_slot(struct segment *s)
{
	s->pending--;
	if (s->state == SEGMENT_OPEN && s->used == SEGMENT_SLOTS && !s->pending) {
		s->state = SEGMENT_FULL;
		enqueue(&ssd.full, s - ssd.segments);
		WRITE_ONCE(ssd.nr_open, ssd.nr_open - 1);
	}
}

/* ---- the store ---- */

/* A slot of the pool's newest segment, or of a new one. */
static u32 next_slot(u32 pool, bool *ret_opened)
{
	u32 number = ssd.of[pool].newest;
	struct segment *s = &ssd.segments[number];

	*ret_opened = !number || s->state != SEGMENT_OPEN || s->used == SEGMENT_SLOTS;
	if (*ret_opened)
		number = open_segment(pool);
	if (!number)
		return 0;
	s = &ssd.segments[number];
	s->pending++;
	s->ids[s->used] = 0;
	return (number << SEGMENT_SHIFT) + s->used++;
}

static u32 ssd_reserve(struct cache_pool *pool, void **ret_copy)
{
	unsigned long flags;
	bool opened = false;
	u32 slot = 0;

	spin_lock_irqsave(&ssd_lock, flags);
	if (ssd.open)
		slot = next_slot(pool->config.id, &opened);
	if (slot)
		*ret_copy = page_address(segment_of(slot)->buffer->pages[slot & (SEGMENT_SLOTS - 1)]);
	spin_unlock_irqrestore(&ssd_lock, flags);
	if (slot && opened)
		cache_pool_add_ssd(pool, SEGMENT_SLOTS);
	return slot;
}

static void ssd_commit(struct cache_pool *pool, u32 id, u32 place)
{
	struct segment *s = segment_of(place);
	unsigned long flags;

	spin_lock_irqsave(&ssd_lock, flags);
	s->ids[place & (SEGMENT_SLOTS - 1)] = id;
	settle_slot(s);
	spin_unlock_irqrestore(&ssd_lock, flags);
}

static void ssd_cancel(u32 place)
{
	unsigned long flags;

	spin_lock_irqsave(&ssd_lock, flags);
	settle_slot(segment_of(place));
	spin_unlock_irqrestore(&ssd_lock, flags);
}

static bool ssd_take(struct cache_pool *pool, u32 id)
{
	u32 place = cache_index_entry_by_id(id)->place;
	struct segment *s = segment_of(place);
	unsigned long flags;
	bool ours;

	spin_lock_irqsave(&ssd_lock, flags);
	ours = s->state != SEGMENT_DROPPING;
	if (ours) {
		s->ids[place & (SEGMENT_SLOTS - 1)] = 0;
		s->readers++;
	}
	spin_unlock_irqrestore(&ssd_lock, flags);
	return ours;
}

static void ssd_release(u32 place)
{
	struct segment *s = segment_of(place);
	unsigned long flags;

	spin_lock_irqsave(&ssd_lock, flags);
	s->readers--;
	put_buffer(s);
	spin_unlock_irqrestore(&ssd_lock, flags);
}

/* Of what was taken: while it is read, a buffer does not go. */
static void *ssd_address(u32 place)
{
	struct buffer *b = READ_ONCE(segment_of(place)->buffer);

	return b ? page_address(b->pages[place & (SEGMENT_SLOTS - 1)]) : NULL;
}

static bool ssd_adjacent(u32 place, u32 next)
{
	return next == place + 1 && next & (SEGMENT_SLOTS - 1);
}

const struct cache_store cache_ssd_store = {
	.reserve = ssd_reserve,
	.commit = ssd_commit,
	.cancel = ssd_cancel,
	.take = ssd_take,
	.release = ssd_release,
	.address = ssd_address,
	.adjacent = ssd_adjacent,
};

u64 cache_ssd_filling(u32 place)
{
	return segment_of(place)->filling;
}

/* ---- writing ---- */

void cache_ssd_written(u32 segment, bool good)
{
	struct segment *s = &ssd.segments[segment];
	unsigned long flags;

	spin_lock_irqsave(&ssd_lock, flags);
	s->state = good ? SEGMENT_WRITTEN : SEGMENT_FAILED;
	if (!good)
		enqueue(&ssd.failed, segment);
	put_buffer(s);
	spin_unlock_irqrestore(&ssd_lock, flags);
}

static u32 next_full(void)
{
	unsigned long flags;
	u32 number;

	spin_lock_irqsave(&ssd_lock, flags);
	number = dequeue(&ssd.full);
	if (number)
		ssd.segments[number].state = SEGMENT_WRITING;
	spin_unlock_irqrestore(&ssd_lock, flags);
	return number;
}

/* ---- giving up ---- */

static bool can_go(const struct segment *s, bool also_open)
{
	return !s->readers && !s->pending && (s->state == SEGMENT_WRITTEN || (also_open && s->state == SEGMENT_OPEN));
}

/* Takes the oldest of @pool that can go off its list. 0: none can. Those that cannot have a buffer, or readers: they are few.
 */
static u32 unlist_oldest(u32 pool, bool also_open)
{
	unsigned long flags;
	u32 number;

	spin_lock_irqsave(&ssd_lock, flags);
	for (number = ssd.of[pool].oldest; number && !can_go(&ssd.segments[number], also_open);)
		number = ssd.segments[number].newer;
	if (number) {
		unlist(number);
		if (ssd.segments[number].state == SEGMENT_OPEN)
			WRITE_ONCE(ssd.nr_open, ssd.nr_open - 1);
		ssd.segments[number].state = SEGMENT_DROPPING;
	}
	spin_unlock_irqrestore(&ssd_lock, flags);
	return number;
}

/* Takes one that the device did not take off its pool's list. 0: there is none, or it is being read. */
static u32 unlist_failed(void)
{
	unsigned long flags;
	u32 number;

	spin_lock_irqsave(&ssd_lock, flags);
	number = ssd.failed.first;
	if (number && ssd.segments[number].readers)
		number = 0;
	if (number) {
		dequeue(&ssd.failed);
		unlist(number);
		ssd.segments[number].state = SEGMENT_DROPPING;
	}
	spin_unlock_irqrestore(&ssd_lock, flags);
	return number;
}

/* @number is off its pool's list. Pools are removed by whoever calls cache_ssd_balance(), or waits for it: its pool stays. */
static void drop_segment(u32 number)
{
	struct segment *s = &ssd.segments[number];
	struct cache_pool *pool;
	unsigned long flags;
	u32 slot, dropped = 0;

	for (slot = 0; slot < s->used; slot++) {
		if (!s->ids[slot])
			continue;
		cache_blocks_evicted(s->ids[slot]);
		dropped++;
	}
	rcu_read_lock();
	pool = cache_pool_by_id(s->pool);
	cache_pool_add_ssd(pool, -(s64)SEGMENT_SLOTS);
	pool_count(pool, evictions[NESTOR_CACHE_SSD], dropped);
	rcu_read_unlock();
	spin_lock_irqsave(&ssd_lock, flags);
	free_segment(number);
	spin_unlock_irqrestore(&ssd_lock, flags);
}

static bool drop_oldest(u32 pool, bool also_open)
{
	u32 number = unlist_oldest(pool, also_open);

	if (number)
		drop_segment(number);
	return number;
}

static void drop_failed(void)
{
	u32 number;

	while ((number = unlist_failed()))
		drop_segment(number);
}

/* ---- balance ---- */

static struct buffer *new_buffer(void)
{
	struct buffer *b = kvzalloc(sizeof(*b), GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	u32 i;

	for (i = 0; b && i < SEGMENT_SLOTS; i++) {
		b->pages[i] = alloc_page(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC);
		if (b->pages[i])
			continue;
		while (i--)
			__free_page(b->pages[i]);
		kvfree(b);
		return NULL;
	}
	return b;
}

static bool wants_buffer(void)
{
	return READ_ONCE(ssd.open) && !READ_ONCE(ssd.buffers_at_hand) &&
	       READ_ONCE(ssd.nr_buffers) < READ_ONCE(ssd.nr_open) + BUFFERS_MAX;
}

static bool wants_segment(void)
{
	return READ_ONCE(ssd.open) && READ_ONCE(ssd.nr_free) < clamp_t(u32, ssd.nr / 16, 1, FREE_WANTED);
}

bool cache_ssd_unbalanced(void)
{
	return READ_ONCE(ssd.full.first) || READ_ONCE(ssd.failed.first) || wants_buffer() || wants_segment();
}

static bool add_buffer(void)
{
	struct buffer *b = new_buffer();
	unsigned long flags;

	if (!b)
		return false;
	spin_lock_irqsave(&ssd_lock, flags);
	b->next = ssd.buffers;
	ssd.buffers = b;
	WRITE_ONCE(ssd.buffers_at_hand, ssd.buffers_at_hand + 1);
	WRITE_ONCE(ssd.nr_buffers, ssd.nr_buffers + 1);
	spin_unlock_irqrestore(&ssd_lock, flags);
	return true;
}

static bool free_one(void)
{
	struct cache_pool *pool;
	bool freed;

	rcu_read_lock();
	pool = cache_pool_victim(NESTOR_CACHE_SSD, cache_ssd_limit(), SEGMENT_SLOTS);
	freed = pool && drop_oldest(pool->config.id, false);
	rcu_read_unlock();
	return freed;
}

static void balance(void)
{
	u32 segment;

	while ((segment = next_full()))
		ssd.write(segment, ssd.segments[segment].buffer->pages);
	drop_failed();
	while (wants_buffer() && add_buffer())
		;
	while (wants_segment() && free_one())
		cond_resched();
}

void cache_ssd_balance(void)
{
	mutex_lock(&balance_lock);
	balance();
	mutex_unlock(&balance_lock);
}

/* ---- life ---- */

static void drop_pool(u32 pool)
{
	while (READ_ONCE(ssd.of[pool].oldest)) {
		if (drop_oldest(pool, true))
			continue;
		/* It is being read or written. */
		balance();
		wait_a_tick();
	}
}

void cache_ssd_drop_pool(struct cache_pool *pool)
{
	mutex_lock(&balance_lock);
	drop_pool(pool->config.id);
	mutex_unlock(&balance_lock);
}

static void free_all(void)
{
	u32 i;

	while (ssd.buffers) {
		struct buffer *b = ssd.buffers;

		ssd.buffers = b->next;
		for (i = 0; i < SEGMENT_SLOTS; i++)
			__free_page(b->pages[i]);
		kvfree(b);
	}
	for (i = 1; ssd.segments && i <= ssd.nr; i++) {
		kvfree(ssd.segments[i].ids);
		cond_resched();
	}
	kvfree(ssd.segments);
	memset(&ssd, 0, sizeof(ssd));
}

static int make_segments(u32 nr)
{
	u32 i;

	ssd.segments = kvcalloc((u64)nr + 1, sizeof(*ssd.segments), GFP_KERNEL);
	if (!ssd.segments)
		return -ENOMEM;
	ssd.nr = nr;
	for (i = nr; i; i--) {
		ssd.segments[i].ids = kvcalloc(SEGMENT_SLOTS, sizeof(u32), GFP_KERNEL);
		if (!ssd.segments[i].ids)
			return -ENOMEM;
		free_segment(i);
	}
	return 0;
}

int cache_ssd_open(u32 segments, cache_ssd_write_fn write)
{
	int r;

	mutex_lock(&balance_lock);
	r = make_segments(segments);
	ssd.write = write;
	if (r)
		free_all();
	else
		WRITE_ONCE(ssd.open, true);
	mutex_unlock(&balance_lock);
	return r;
}

void cache_ssd_close(void)
{
	unsigned long flags;
	u32 id;

	mutex_lock(&balance_lock);
	spin_lock_irqsave(&ssd_lock, flags);
	ssd.open = false;
	spin_unlock_irqrestore(&ssd_lock, flags);
	for (id = 0; id < NESTOR_CACHE_POOLS; id++)
		drop_pool(id);
	free_all();
	mutex_unlock(&balance_lock);
}
