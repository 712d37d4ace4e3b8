/* SPDX-License-Identifier: GPL-2.0 */
/* Room cache: the contract between BPF and agent. */
#ifndef NESTOR_BPF_CACHE_H
#define NESTOR_BPF_CACHE_H

#define CACHE_DEPTH 8 /* cgroups that a container may have below its own for its pages to be known as its */

/* Value of cache_pools, by the number of a container's cgroup: where its pages go. */
struct cache_choice {
	__u32 pool;
	__u32 store; /* enum nestor_cache_store */
	__u64 cgroup; /* the key */
};

_Static_assert(sizeof(struct cache_choice) == 16, "map value");

#endif
