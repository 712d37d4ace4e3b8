/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel's memory controller says of the page cache of a cgroup, without the cgroups below it. */
#ifndef NESTOR_PCACHE_MEMORY_STAT_H
#define NESTOR_PCACHE_MEMORY_STAT_H

#include <stdbool.h>

#include <linux/types.h>

struct kernel;
struct owner;

struct memory_stat {
	__u64 pages; /* of 4 KiB; files on disks, not tmpfs */
	__u64 refaults; /* since the cgroup was made; 0 where the kernel tells the sum with the cgroups below alone */
};

/* 0 or -errno: it is gone, is no cgroup, or its memory is not accounted for. */
int memory_stat_read(const struct kernel *k, const struct owner *o, struct memory_stat *ret);

/* Pages of the whole machine. */
int memory_stat_read_machine(const struct kernel *k, __u64 *ret_pages);

#endif
