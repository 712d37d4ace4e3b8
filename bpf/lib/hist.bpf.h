/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_BPF_LIB_HIST_H
#define NESTOR_BPF_LIB_HIST_H

#include "bpf/hist.h"

/* 1 if v > bound, else 0; both below 2^63. Without a branch: it would be foretold wrongly, and the verifier walk both ways. */
static __always_inline __u64 hist_above(__u64 v, __u64 bound)
{
	__u64 sign_if_above = bound - v;

	barrier_var(sign_if_above);
	return sign_if_above >> 63;
}

/* Position of the highest set bit; v is at least 1, and below 2^32. Five steps, as BPF has no count-leading-zeros. */
static __always_inline __u64 hist_log2(__u64 v)
{
	__u64 r, shift;

	r = hist_above(v, 0xffff) << 4;
	v >>= r;
	shift = hist_above(v, 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = hist_above(v, 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = hist_above(v, 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

/*
 * Bucket of a latency: the smallest i with ns <= 2^i us. Without a division: of all bounds just 1000 << i lies between
 * 512 << i and 1024 << i.
 */
static __always_inline __u32 hist_slot(__u64 ns)
{
	__u64 i;

	if (ns <= 1000)
		return 0;
	if (ns > 1000ULL << (HIST_BOUNDS - 1))
		return HIST_BOUNDS;
	i = hist_log2(ns >> 9);
	return i + hist_above(ns, 1000ULL << i);
}

/* All CPUs may add to the same one. */
static __always_inline void hist_add(struct hist *h, __u64 ns)
{
	__u32 slot = hist_slot(ns);

	barrier_var(slot);
	if (slot < HIST_SLOTS)
		__sync_fetch_and_add(&h->slots[slot], 1);
}

#endif
