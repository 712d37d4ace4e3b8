/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cache's commands in a session of /dev/nestor. The stores are empty when a session begins; when it ends they are
 * emptied and nothing is put any more. Devices stay, and pass all I/O through.
 */
#ifndef NESTOR_CACHE_SESSION_H
#define NESTOR_CACHE_SESSION_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include "kfuncs/cache.h"

/* Arrays have room for more than there is yet: what is beyond NESTOR_CACHE_STORES and NESTOR_CACHE_DROPS is 0. */
#define NESTOR_CACHE_STORES_MAX 8
#define NESTOR_CACHE_DROPS_MAX 16

/* Pages, since the pool was made. */
struct nestor_cache_counters {
	__u64 gets; /* asked for by reads into the page cache */
	__u64 demotions; /* from memory to SSD */
	__u64 hits[NESTOR_CACHE_STORES_MAX];
	__u64 puts[NESTOR_CACHE_STORES_MAX];
	__u64 evictions[NESTOR_CACHE_STORES_MAX];
	__u64 drops[NESTOR_CACHE_DROPS_MAX];
};

struct nestor_cache_pool {
	__u64 cgroup; /* its number, by which reads find their pool; 0: none */
	__u32 id; /* below NESTOR_CACHE_POOLS */
	__u32 pad;
	__u32 weight[NESTOR_CACHE_STORES_MAX]; /* up to NESTOR_CACHE_WEIGHT_MAX; 0: no share */
};

struct nestor_cache_pool_state {
	struct nestor_cache_pool pool;
	__u64 pages[NESTOR_CACHE_STORES_MAX];
	__u64 entitlement[NESTOR_CACHE_STORES_MAX]; /* pages */
	struct nestor_cache_counters counters;
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

struct nestor_cache_limit {
	__u32 store; /* enum nestor_cache_store */
	__u32 pad;
	__u64 pages; /* that it may hold */
	/* Told by NESTOR_CACHE_GET_LIMIT: */
	__u64 held; /* pages that it takes, empty ones among them */
	__u64 errors; /* reads and writes that failed, or brought something else */
};

struct nestor_cache_ssd {
	__s32 fd; /* of a block device, open for writing, and exclusively */
	__u32 pad;
	__u64 pages; /* of it that are used; 0: all */
};

struct nestor_cache_index {
	__u64 entries; /* that there is memory for, 36 bytes each; none before the first device is attached */
	__u64 free;
};

#define NESTOR_CACHE_SET_LIMIT _IOW('N', 1, struct nestor_cache_limit)
#define NESTOR_CACHE_GET_LIMIT _IOWR('N', 2, struct nestor_cache_limit)
#define NESTOR_CACHE_SET_POOL _IOW('N', 3, struct nestor_cache_pool) /* makes it if need be */
#define NESTOR_CACHE_DROP_POOL _IOW('N', 4, __u32) /* its number; with all its pages. ENOENT */
#define NESTOR_CACHE_POOL_STATE _IOWR('N', 5, struct nestor_cache_pool_state) /* pool.id says of which. ENOENT */
#define NESTOR_CACHE_GET_INDEX _IOR('N', 6, struct nestor_cache_index)
/* Once, or after NESTOR_CACHE_CLOSE_SSD. EBADF, ENOTBLK, EACCES (read-only), ENOSPC (smaller than 2 MiB), EEXIST, EOPNOTSUPP
 * (no cipher) */
#define NESTOR_CACHE_OPEN_SSD _IOW('N', 7, struct nestor_cache_ssd)
#define NESTOR_CACHE_CLOSE_SSD _IO('N', 8)
#define NESTOR_CACHE_GET_LATENCY _IOWR('N', 9, struct nestor_cache_latency) /* source says whose */

#endif
