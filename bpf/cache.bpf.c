// SPDX-License-Identifier: GPL-2.0
/*
 * cache: what becomes of a page that leaves the page cache. This program is the policy: which pool, and which store. It has
 * to call bpf_cache_put_folio() for every folio, also for those that it wants nowhere: so the module hears of removals.
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
#include "kfuncs/cache_kfuncs.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NESTOR_CACHE_POOLS);
	__type(key, __u64);
	__type(value, struct cache_choice);
} cache_pools SEC(".maps");

LOST_MAP(cache_lost);

/* The agent says so before load: then the kfunc must be there. Without, what calls it is taken out. */
const volatile bool cache_has_module = false;

/* The pool of the memory cgroup that the folio is charged to, or of the next one above it that has one. */
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

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(cache_delete, struct folio *folio)
{
	struct cache_choice *choice = choose(folio);
	__u32 pool = choice ? choice->pool : 0, store = choice ? choice->store : 0;

	if (cache_has_module)
		bpf_cache_put_folio(folio, pool, store);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
