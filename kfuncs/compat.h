/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module takes from the kernel, and the differences between kernels from 6.12 on. Who builds a part of the module for
 * a process provides the same himself, before: tests do with -include.
 */
#ifndef NESTOR_COMPAT_H
#define NESTOR_COMPAT_H

#ifdef __KERNEL__
#include <linux/backing-dev.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/build_bug.h>
#include <linux/device-mapper.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/idr.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xxhash.h>

/* From 7.0 on arguments are trusted unless the function says otherwise. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define WQ_PER_CPU WQ_PERCPU
#else
#define WQ_PER_CPU 0
#endif

static inline void wait_a_tick(void)
{
	schedule_timeout_uninterruptible(1);
}

/* All page frames are below; but those of memory that is plugged in later. */
static inline u64 frames_end(void)
{
	u64 end = 0;
	int node;

	for_each_online_node (node)
		end = max_t(u64, end, pgdat_end_pfn(NODE_DATA(node)));
	return end;
}

static inline void limit_write_zeroes(struct queue_limits *limits, unsigned int sectors)
{
	limits->max_write_zeroes_sectors = min(limits->max_write_zeroes_sectors, sectors);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	/* Those that also free space: 0, or as many. */
	if (limits->max_hw_wzeroes_unmap_sectors)
		limits->max_hw_wzeroes_unmap_sectors = limits->max_write_zeroes_sectors;
#endif
}

/* The number of the cgroup that a folio of the page cache is charged to; 0: none. */
static inline u64 folio_cgroup(struct folio *folio)
{
	struct mem_cgroup *memcg;
	u64 id;

	rcu_read_lock();
	memcg = folio_memcg_check(folio);
	id = memcg ? cgroup_id(memcg->css.cgroup) : 0;
	rcu_read_unlock();
	return id;
}
#endif

#endif
