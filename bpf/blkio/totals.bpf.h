/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of blkio by key, in an array that is searched here: the kernel's lookup in a hash map alone took longer
 * than all else that is done at the end of an I/O.
 */
#ifndef NESTOR_BLKIO_TOTALS_BPF_H
#define NESTOR_BLKIO_TOTALS_BPF_H

#include "bpf/blkio.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BLKIO_PLACES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct blkio_place);
} blkio_total SEC(".maps");

/* A bit for each place that is used: the agent looks at no other. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64[BLKIO_PLACES / 64]);
} blkio_bitmap SEC(".maps");

#define TOTAL_WAYS 16 /* places that a key may have */

static __always_inline __u32 total_index(const struct blkio_key *key, int way)
{
	const __u64 *word = (const __u64 *)key;
	__u64 hash = (word[0] ^ word[1] << 48 ^ word[2] << 16) * 0x9e3779b97f4a7c15ULL;

	return ((hash >> 32) + way * (hash >> 48 | 1)) & (BLKIO_PLACES - 1);
}

static __always_inline bool total_is(const struct blkio_place *place, const struct blkio_key *key)
{
	const __u64 *a = (const __u64 *)&place->key, *b = (const __u64 *)key;

	return place->state == SLOT_MAP_USED && a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static __always_inline struct blkio_place *total_place(__u32 index)
{
	return bpf_map_lookup_elem(&blkio_total, &index);
}

/* The counters of @key if they are where most are, else NULL. */
static __always_inline struct blkio_total *total_find(const struct blkio_key *key)
{
	struct blkio_place *place = total_place(total_index(key, 0));

	return place && total_is(place, key) ? &place->total : NULL;
}

static __always_inline void total_set_bit(__u32 index)
{
	__u32 first = 0;
	__u64 *words = bpf_map_lookup_elem(&blkio_bitmap, &first);

	if (words)
		__sync_fetch_and_or(&words[index / 64 % (BLKIO_PLACES / 64)], 1ULL << index % 64);
}

static __always_inline bool total_claim(struct blkio_place *place, const struct blkio_key *key, __u32 index)
{
	if (place->state || __sync_val_compare_and_swap(&place->state, SLOT_MAP_FREE, SLOT_MAP_CLAIMED))
		return false;
	place->key = *key;
	__sync_lock_test_and_set(&place->state, SLOT_MAP_USED); /* after the key */
	total_set_bit(index);
	return true;
}

/* Index of the place that @key has, or gets; -1 if there is none. Global: the verifier looks at it once, not on each path. */
__noinline int total_search(const struct blkio_key *key)
{
	struct blkio_place *place;

	if (!key)
		return -1;
	for (int way = 0; way < TOTAL_WAYS; way++) {
		place = total_place(total_index(key, way));
		if (place && total_is(place, key))
			return total_index(key, way);
	}
	for (int way = 0; way < TOTAL_WAYS; way++) {
		place = total_place(total_index(key, way));
		if (place && total_claim(place, key, total_index(key, way)))
			return total_index(key, way);
	}
	return -1;
}

/*
 * The counters of @key, which it gets if it had none. Two CPUs that do this at the same time may give it two: both
 * count, and the agent adds them up. NULL: all its places are others'.
 */
static __always_inline struct blkio_total *total_find_or_claim(const struct blkio_key *key)
{
	struct blkio_place *place = total_place(total_search(key));

	return place ? &place->total : NULL;
}

#endif
