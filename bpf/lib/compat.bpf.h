/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between kernels, from 6.1 on. Each accessor names the kernels whose BTF shows the one form and the
 * other; the commits between them still have to be looked up.
 */
#ifndef NESTOR_BPF_LIB_COMPAT_H
#define NESTOR_BPF_LIB_COMPAT_H

/*
 * struct page has compound_head in 6.1 and 6.12, compound_info in 7.2. Bit 0 marks a tail page in both, and the rest
 * is taken for the head's address. tests/kernels.sh shows writeback billed through it on all three; whether a tail
 * page was among those pages is not shown.
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
 * In 6.1 and 6.12 a folio points to its memory cgroup, unless it is kernel memory; in 7.2 to an obj_cgroup, which
 * points to the memory cgroup. struct obj_cgroup has is_root in 7.2 and not in the others: that tells them apart.
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
