/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between kernels, from 6.1 on. Each accessor names the commit that made it necessary
 * and the kernel floor that lets it go.
 */
#ifndef NESTOR_BPF_LIB_COMPAT_H
#define NESTOR_BPF_LIB_COMPAT_H

/*
 * struct page.compound_head became compound_info, with the same meaning of bit 0 and of the rest where
 * the vmemmap is not masked ("mm: rename the 'compound_head' field in the 'struct page' to compound_info", 7.1).
 */
struct page___info {
	unsigned long compound_info;
} __attribute__((preserve_access_index));

static __always_inline struct folio *compat_page_folio(struct page *page)
{
	struct page___info *info = (void *)page;
	unsigned long head;

	if (bpf_core_field_exists(info->compound_info))
		head = BPF_CORE_READ(info, compound_info);
	else
		head = BPF_CORE_READ(page, compound_head);
	return (struct folio *)(head & 1 ? head - 1 : (unsigned long)page);
}

/*
 * Since the reparenting of LRU folios a folio points to an obj_cgroup, which points to its memory cgroup;
 * before, to the memory cgroup itself unless it is kernel memory. obj_cgroup.is_root came with that change
 * ("mm: memcontrol: convert objcg to be per-memcg per-node type" and its series, 7.1).
 */
struct obj_cgroup___root {
	bool is_root;
} __attribute__((preserve_access_index));

enum {
	COMPAT_MEMCG_SLAB = 1, /* the word is a slab's vector, no owner of the whole */
	COMPAT_MEMCG_KMEM = 2, /* the word is an obj_cgroup */
	COMPAT_MEMCG_FLAGS = 7,
};

static __always_inline struct mem_cgroup *compat_folio_memcg(struct folio *folio)
{
	unsigned long word = BPF_CORE_READ(folio, memcg_data);
	void *owner = (void *)(word & ~(unsigned long)COMPAT_MEMCG_FLAGS);

	if (!owner || word & COMPAT_MEMCG_SLAB)
		return NULL;
	if (word & COMPAT_MEMCG_KMEM || bpf_core_field_exists(struct obj_cgroup___root, is_root))
		return BPF_CORE_READ((struct obj_cgroup *)owner, memcg);
	return owner;
}

#endif
