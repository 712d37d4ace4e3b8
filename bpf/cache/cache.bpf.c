// SPDX-License-Identifier: GPL-2.0
/*
 * cache: what becomes of a page that leaves the page cache: whose pool it is, and which store. bpf_cache_put_folio() has to
 * be called for every folio, also for those that are wanted nowhere: so the module hears of removals. A user's own program
 * therefore takes the place of cache_choose() alone.
 *
 * It runs under the page cache's lock with interrupts off, for each page that a file loses.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/cache.h"
#include "bpf/lib/compat.bpf.h"
#include "bpf/lib/lost.bpf.h"
#include "kfuncs/cache/kfuncs.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NESTOR_CACHE_POOLS);
	__type(key, __u64);
	__type(value, struct cache_choice);
} cache_pools SEC(".maps");

LOST_MAP(cache_lost);

/* The agent says so before load: then the kfunc must be there. Without, what calls it is taken out. */
const volatile bool cache_has_module = false;

/* The choice of the memory cgroup that the folio is charged to, or of the next one above it that has one. */
static __always_inline struct cache_choice *choose(struct folio *folio)
{
	struct mem_cgroup *memcg = compat_folio_memcg(folio);
	struct cgroup *cgrp;
	int i;

	if (!memcg)
		return NULL;
	cgrp = BPF_CORE_READ(memcg, css.cgroup);
	for (i = 0; cgrp && i <= CACHE_DEPTH; i++) {
		__u64 id = BPF_CORE_READ(cgrp, kn, id);
		struct cache_choice *choice = bpf_map_lookup_elem(&cache_pools, &id);
		struct cgroup_subsys_state *parent;

		if (choice)
			return choice;
		parent = BPF_CORE_READ(cgrp, self.parent);
		cgrp = parent ? BPF_CORE_READ(parent, cgroup) : NULL;
	}
	return NULL;
}

/* As bpf/cache_choose.h has it. Weak: nothing that the compiler sees here is true of what may take its place. */
__weak __noinline __u32 cache_choose(__u64 cgroup, __u32 dev, __u64 inode, __u64 index, __u32 store)
{
	return store;
}

static __always_inline __u32 ask(const struct cache_choice *choice, struct folio *folio)
{
	struct inode *inode = BPF_CORE_READ(folio, mapping, host);

	return cache_choose(choice->cgroup, BPF_CORE_READ(inode, i_sb, s_dev), BPF_CORE_READ(inode, i_ino),
			    BPF_CORE_READ(folio, index), choice->store);
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(cache_delete, struct folio *folio)
{
	struct cache_choice *choice = choose(folio);
	__u32 pool = choice ? choice->pool : 0, store = choice ? ask(choice, folio) : 0;

	if (cache_has_module)
		bpf_cache_put_folio(folio, pool, store);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
