/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For a program of one's own that chooses where pages go which leave the page cache, in the place of the built-in one, that
 * takes the store that policy has (nestorctl cache policy load FILE.bpf.o):
 *
 *	SEC("freplace/cache_choose")
 *	__u32 mine(__u64 cgroup, __u32 dev, __u64 inode, __u64 index, __u32 store)
 *	{
 *		return index < 16 ? store : NESTOR_CACHE_NOWHERE;
 *	}
 *
 *	char LICENSE[] SEC("license") = "GPL";
 *
 * It is asked for each folio of a container that has a pool: @cgroup is the number of the container's cgroup, @dev
 * (major << 20 | minor) and @inode are the file, @index is the folio's place in it in pages of 4 KiB, @store is what policy
 * says (enum nestor_cache_store). It returns a store, or NESTOR_CACHE_NOWHERE. What it returns is a wish: without a weight
 * there, or when the page is not what the disk has, it is not kept. Whose pool it is is not for it to say, and that blocks
 * are forgotten in time does not depend on it.
 *
 * It runs under the page cache's lock with interrupts off, so it has to be short whatever happens: the verifier must not
 * have to walk more than CACHE_CHOOSE_INSNS instructions, and of the kernel's functions it may call those that look up,
 * update and delete elements of maps, and bpf_ktime_get_ns(), bpf_get_prandom_u32(), bpf_get_smp_processor_id(). The object
 * has this one program; maps it may have, and static functions that the program calls.
 */
#ifndef NESTOR_BPF_CACHE_CHOOSE_H
#define NESTOR_BPF_CACHE_CHOOSE_H

#include "kfuncs/cache.h"

#define CACHE_CHOOSE_INSNS 4096

#endif
