/* SPDX-License-Identifier: GPL-2.0 */
/* Has KSM merge what a round has found, and nothing else. */
#ifndef NESTOR_DEDUP_MERGE_H
#define NESTOR_DEDUP_MERGE_H

#include "agent/dedup/inject.h"
#include "agent/dedup/round.h"
#include "agent/dedup/ksm.h"

/* Why nothing of a process was advised. */
enum dedup_miss {
	DEDUP_MISS_GONE, /* it has ended */
	DEDUP_MISS_CHANGED, /* it executed a program, or changed its user or cgroup, since the round began */
	DEDUP_MISS_TRACED, /* a debugger has it, or it may not be looked at */
	DEDUP_MISS_BUSY, /* it could not be stopped: frozen, stopped, in a call that does not end */
	DEDUP_MISS_PROGRAM, /* no 64-bit program of x86-64 */
	DEDUP_MISS_FILTER, /* its seccomp filter cannot be suspended */
	DEDUP_MISS_DISPATCH, /* it dispatches system calls to itself */
	DEDUP_MISS_LATE, /* its calls took too long, and were given up */
	DEDUP_MISS_MAPS, /* it has as many mappings as it may have */
	DEDUP_MISSES
};

extern const char *const dedup_miss_names[DEDUP_MISSES];

struct dedup_merged {
	uint64_t hints; /* pages that KSM was told of */
	uint64_t others; /* further ones, in ranges that had to be joined */
	uint64_t merged; /* pages of all processes that are merged, after the round */
	uint64_t missed[DEDUP_MISSES]; /* processes */
	uint64_t left_huge; /* pages that were left alone, being parts of huge ones */
	struct injection injection;
	struct ksm_counts before, after;
	uint64_t inject_ns, merge_ns;
};

/*
 * Of @r, which has looked. Merging is undone for nobody. @leave_huge: huge pages are not split. Takes seconds to minutes. While
 * KSM is at work SIGTERM ends it early, and is taken. 0, or, logged:
 *	-EPERM	a process that is none of @r's has mergeable memory, which would be merged with theirs,
 *	-EINTR	SIGTERM,
 *	-ETIMEDOUT ksmd waits for the memory of a process; to put back its settings waits, too,
 *	-errno	as ksm_open() has them.
 */
int dedup_merge(struct dedup_round *r, int run_dir, bool leave_huge, struct dedup_merged *ret);

#endif
