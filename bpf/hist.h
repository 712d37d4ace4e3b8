/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A latency histogram in powers of two microseconds, shared by BPF and agent.
 *
 * Bucket i counts latencies of at most 2^i us (and more than 2^(i-1) us), so that
 * "le" is true as it is printed: 1 us, 2 us, ... 134 s. The last bucket has no bound. The sum of the latencies is kept
 * elsewhere: with other sums, in one cache line.
 */
#ifndef NESTOR_BPF_HIST_H
#define NESTOR_BPF_HIST_H

#define HIST_BOUNDS 28 /* buckets with an upper bound: 2^0 to 2^27 us */
#define HIST_SLOTS (HIST_BOUNDS + 1)

struct hist {
	__u64 slots[HIST_SLOTS]; /* events per bucket, not cumulated */
};

_Static_assert(sizeof(struct hist) == 232, "struct hist is an interface");

#endif
