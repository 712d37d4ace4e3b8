/* SPDX-License-Identifier: GPL-2.0 */
/* The contract of room cache between the module, the agent and BPF programs. Pages are of 4 KiB. */
#ifndef NESTOR_CACHE_H
#define NESTOR_CACHE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Where cached pages live. */
enum nestor_cache_store {
	NESTOR_CACHE_MEMORY,
	NESTOR_CACHE_SSD,
	NESTOR_CACHE_STORES,
};

#define NESTOR_CACHE_NOWHERE 0xffffffffU /* instead of a store: a page is wanted in none */

#define NESTOR_CACHE_POOLS 1024 /* numbers of pools, below 8192; 0 is the pool of all that have none */
#define NESTOR_CACHE_WEIGHT_MAX 10000

/* Why a page that was offered is not in a store. */
enum nestor_cache_drop {
	NESTOR_CACHE_DROP_UNKNOWN, /* no finished I/O of a cached device says what block it is */
	NESTOR_CACHE_DROP_RACED, /* its block was being written, or belongs to another page by now */
	NESTOR_CACHE_DROP_TRANSFORMED, /* it is not what was read or written: decrypted in place, or changed */
	NESTOR_CACHE_DROP_NO_SHARE, /* its pool has no weight in that store, or there is no such pool or store */
	NESTOR_CACHE_DROP_NO_ROOM, /* the store had no page at hand */
	NESTOR_CACHE_DROP_UNWANTED, /* the program that chooses a store wants it in none */
	NESTOR_CACHE_DROPS,
};

/* Who served a read into the page cache. */
enum nestor_cache_source {
	NESTOR_CACHE_FROM_MEMORY,
	NESTOR_CACHE_FROM_SSD,
	NESTOR_CACHE_FROM_DISK,
	NESTOR_CACHE_SOURCES,
};

#define NESTOR_CACHE_SLOTS 29 /* of a histogram: slot i counts up to 2^i us, the last one all that took longer */

/* How long reads took, each a bio: since the module was loaded. */
struct nestor_cache_latency {
	__u32 source; /* enum nestor_cache_source */
	__u32 pad;
	__u64 sum_ns;
	__u64 slots[NESTOR_CACHE_SLOTS];
};

/* Pages, since the pool was made. */
struct nestor_cache_counters {
	__u64 gets; /* asked for by reads into the page cache */
	__u64 hits[NESTOR_CACHE_STORES];
	__u64 puts[NESTOR_CACHE_STORES];
	__u64 evictions[NESTOR_CACHE_STORES];
	__u64 demotions; /* from memory to SSD */
	__u64 drops[NESTOR_CACHE_DROPS];
};

struct nestor_cache_pool {
	__u64 cgroup; /* its number, by which reads find their pool; 0: none */
	__u32 id; /* below NESTOR_CACHE_POOLS */
	__u32 weight[NESTOR_CACHE_STORES]; /* up to NESTOR_CACHE_WEIGHT_MAX; 0: no share */
	__u32 pad;
};

struct nestor_cache_pool_state {
	struct nestor_cache_pool pool;
	__u64 pages[NESTOR_CACHE_STORES];
	__u64 entitlement[NESTOR_CACHE_STORES]; /* pages */
	struct nestor_cache_counters counters;
};

#endif
