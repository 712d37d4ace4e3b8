/* SPDX-License-Identifier: GPL-2.0 */
/*
 * I/Os in flight. A table of its own and not a hash map: that would take a lock and some ten cache lines for each I/O.
 * Here it is one, and the requests of a queue lie next to each other in the order of their tags: what makes a lookup
 * slow is not its instructions but lines and pages that no cache has.
 */
#ifndef NESTOR_BLKIO_INFLIGHT_BPF_H
#define NESTOR_BLKIO_INFLIGHT_BPF_H

#include "bpf/blkio.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BLKIO_INFLIGHT_PLACES);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page, so that no element lies across two cache lines */
	__type(key, __u32);
	__type(value, struct blkio_inflight);
} blkio_inflight SEC(".maps");

/* A bit for each page of it that was ever used, one cache line for all: the agent need not look at the others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[BLKIO_INFLIGHT_PAGES / 64]);
} blkio_inflight_pages SEC(".maps");

static const __u32 inflight_origin;

/*
 * A number for an address, never 0. What the verifier knows to be a pointer it does not let us calculate with; a
 * difference of two it does.
 */
#define inflight_id(pointer) ((__u64)(pointer) - (__u64)&inflight_origin)

#define INFLIGHT_WAYS 4 /* places that an I/O may have, far from each other */
#define INFLIGHT_STEP 8191

static __always_inline __u32 inflight_scattered(__u64 id)
{
	return id * 0x9e3779b97f4a7c15ULL >> 32;
}

static __always_inline __u32 inflight_home_of_bio(struct bio *bio)
{
	return inflight_scattered(inflight_id(bio)) & (BLKIO_INFLIGHT_PLACES - 1);
}

/* Whatever names a request within its hardware queue from its allocation to its end: a scheduler's tag, else the driver's. */
static __always_inline __u32 inflight_home_of_rq(struct request *rq)
{
	int tag = rq->internal_tag >= 0 ? rq->internal_tag : rq->tag;

	return (inflight_scattered(inflight_id(rq->mq_hctx)) + tag) & (BLKIO_INFLIGHT_PLACES - 1);
}

static __always_inline __u32 inflight_way(__u32 home, int way)
{
	return (home + way * INFLIGHT_STEP) & (BLKIO_INFLIGHT_PLACES - 1);
}

static __always_inline void inflight_note_page(__u32 place)
{
	__u32 first = 0, page = place / BLKIO_INFLIGHT_PAGE;
	__u64 *pages = bpf_map_lookup_elem(&blkio_inflight_pages, &first);
	__u64 *word, bit = 1ULL << page % 64;

	if (!pages)
		return;
	word = &pages[page / 64 % (BLKIO_INFLIGHT_PAGES / 64)];
	if (!(*word & bit))
		__sync_fetch_and_or(word, bit);
}

static __always_inline bool inflight_claim(struct blkio_inflight *io, __u64 id, __u32 place)
{
	if (io->id || __sync_val_compare_and_swap(&io->id, 0, id))
		return false;
	inflight_note_page(place);
	return true;
}

/* Its home has another I/O: the place elsewhere that it has, or -1; if @claim, that it gets. */
static __noinline int inflight_elsewhere(__u32 home, __u64 id, bool claim)
{
	for (int way = 1; way < INFLIGHT_WAYS; way++) {
		__u32 place = inflight_way(home, way);
		struct blkio_inflight *io = bpf_map_lookup_elem(&blkio_inflight, &place);

		if (io && io->id == id)
			return place;
	}
	for (int way = 1; claim && way < INFLIGHT_WAYS; way++) {
		__u32 place = inflight_way(home, way);
		struct blkio_inflight *io = bpf_map_lookup_elem(&blkio_inflight, &place);

		if (io && inflight_claim(io, id, place))
			return place;
	}
	return -1;
}

/* The I/O @id if it is known, else NULL. */
static __always_inline struct blkio_inflight *inflight_find(__u32 home, __u64 id)
{
	struct blkio_inflight *io = bpf_map_lookup_elem(&blkio_inflight, &home);
	__u32 place;

	if (!io || io->id == id)
		return io;
	if (!io->guests)
		return NULL;
	place = inflight_elsewhere(home, id, false);
	return bpf_map_lookup_elem(&blkio_inflight, &place);
}

/* The same, but one that is not known gets a place, with start_ns 0. NULL: there is none. */
static __always_inline struct blkio_inflight *inflight_find_or_claim(__u32 home, __u64 id)
{
	struct blkio_inflight *io = bpf_map_lookup_elem(&blkio_inflight, &home), *other;
	__u32 place;

	if (!io || io->id == id || (!io->guests && inflight_claim(io, id, home)))
		return io;
	place = inflight_elsewhere(home, id, false);
	other = bpf_map_lookup_elem(&blkio_inflight, &place);
	if (other)
		return other;
	if (inflight_claim(io, id, home))
		return io;
	__sync_fetch_and_add(&io->guests, 1);
	place = inflight_elsewhere(home, id, true);
	other = bpf_map_lookup_elem(&blkio_inflight, &place);
	if (!other)
		__sync_fetch_and_add(&io->guests, -1);
	return other;
}

static __always_inline void inflight_forget(__u32 home, struct blkio_inflight *io)
{
	struct blkio_inflight *at_home = bpf_map_lookup_elem(&blkio_inflight, &home);

	if (at_home && at_home->id != io->id)
		__sync_fetch_and_add(&at_home->guests, -1);
	io->start_ns = 0;
	io->id = 0;
}

#endif
