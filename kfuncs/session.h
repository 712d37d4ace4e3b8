/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/nestor: how the agent commands the module. The open file is the agent's session: there is one at a time, the stores
 * are empty when it begins, and when it ends (the agent's death is enough) they are emptied and nothing is put any more.
 * Devices stay, and pass all I/O through.
 *
 * Wants CAP_SYS_ADMIN. All calls may sleep and fail with EFAULT, EINVAL (a value out of range), ENOMEM.
 */
#ifndef NESTOR_SESSION_H
#define NESTOR_SESSION_H

#include <linux/ioctl.h>

#include "kfuncs/cache.h"

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
	__u64 entries; /* that there is memory for, 36 bytes each */
	__u64 free;
};

#define NESTOR_CACHE_SET_LIMIT _IOW('N', 1, struct nestor_cache_limit)
#define NESTOR_CACHE_GET_LIMIT _IOWR('N', 2, struct nestor_cache_limit)
#define NESTOR_CACHE_SET_POOL _IOW('N', 3, struct nestor_cache_pool) /* makes it if need be */
#define NESTOR_CACHE_DROP_POOL _IOW('N', 4, __u32) /* its number; with all its pages. ENOENT */
#define NESTOR_CACHE_POOL_STATE _IOWR('N', 5, struct nestor_cache_pool_state) /* pool.id says of which. ENOENT */
/* Once, or after NESTOR_CACHE_CLOSE_SSD. EBADF, ENOTBLK, EACCES (read-only), ENOSPC (smaller than 2 MiB), EEXIST */
#define NESTOR_CACHE_OPEN_SSD _IOW('N', 7, struct nestor_cache_ssd)
#define NESTOR_CACHE_CLOSE_SSD _IO('N', 8)
#define NESTOR_CACHE_GET_LATENCY _IOWR('N', 9, struct nestor_cache_latency) /* source says whose */
#define NESTOR_CACHE_GET_INDEX _IOR('N', 6, struct nestor_cache_index)

#endif
