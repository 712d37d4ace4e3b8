/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_BPF_LIB_HIST_H
#define NESTOR_BPF_LIB_HIST_H

#include "bpf/hist.h"

/* Position of the highest set bit; v is at least 1. Five steps, as BPF has no count-leading-zeros. */
static __always_inline __u32 hist_log2(__u32 v)
{
	__u32 r, shift;

	r = (v > 0xffff) << 4;
	v >>= r;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

/* Bucket of a latency: the smallest i with ns <= 2^i us. */
static __always_inline __u32 hist_slot(__u64 ns)
{
	__u64 us = (ns + 999) / 1000;

	if (us <= 1)
		return 0;
	if (us > (1ULL << (HIST_BOUNDS - 1)))
		return HIST_BOUNDS;
	return hist_log2(us - 1) + 1;
}

/* For a per-CPU value: the tracepoint may be interrupted by another one on the same CPU, which may lose a count but no more. */
static __always_inline void hist_add(struct hist *h, __u64 ns)
{
	__u32 slot = hist_slot(ns);

	/* Always true. It tells the verifier, once the compiler cannot test one register and use another. */
	barrier_var(slot);
	if (slot < HIST_SLOTS)
		h->slots[slot]++;
	h->sum_ns += ns;
}

/* For a value that all CPUs share. */
static __always_inline void hist_add_shared(struct hist *h, __u64 ns)
{
	__u32 slot = hist_slot(ns);

	barrier_var(slot);
	if (slot < HIST_SLOTS)
		__sync_fetch_and_add(&h->slots[slot], 1);
	__sync_fetch_and_add(&h->sum_ns, ns);
}

#endif
