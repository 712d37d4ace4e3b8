/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pcache: the contract between the BPF programs and the agent. All counts are pages of 4 KiB.
 *
 * The structs below are values of pinned maps whose key is struct owner: a change of one gives the pin a new name
 * (see agent/base/bpfobj.c) and the counters start anew.
 */
#ifndef NESTOR_BPF_PCACHE_H
#define NESTOR_BPF_PCACHE_H

#include "bpf/owner.h"

/* Who reads pays for accesses and misses; who a page is charged to for its eviction. */
struct pcache_total {
	__u64 accesses; /* pages that reads and faults asked for */
	__u64 misses; /* pages that were brought for reading */
	__u64 reclaimed; /* pages that the kernel took away to have memory */
	__u64 invalidated; /* pages that went with their file, or because somebody asked for it */
};

/* What the agent alone counts. */
struct pcache_derived {
	__u64 hits;
	__u64 mark; /* accesses - misses, signed, that hits are counted from */
	__u64 refaults; /* of the memory cgroup, when last read */
};

/* As many as who_owners has, and those for nobody and for the rest. */
#define PCACHE_OWNERS 2050

_Static_assert(sizeof(struct pcache_total) == 32, "map value");
_Static_assert(sizeof(struct pcache_derived) == 24, "map value");

#endif
