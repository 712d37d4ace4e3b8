/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between kernels, from 6.1 on. Each accessor names the kernels whose BTF shows the one form and the
 * other; the commits between them still have to be looked up.
 */
#ifndef NESTOR_BPF_LIB_COMPAT_H
#define NESTOR_BPF_LIB_COMPAT_H

/*
 * A pointer that was a number: where the kernel can be told what it points to (6.12, 6.18 and 7.2; 6.1 cannot) a read
 * through it is a load, else BPF_CORE_READ() takes a call. A bad pointer reads as 0 either way.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

#define compat_can_type() (bpf_rdonly_cast != NULL)
#define compat_typed(pointer, type) ((type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))

/*
 * The same pointer, for reads alone. For each pointer that is read through one that the verifier trusts it searches all
 * type names of the kernel four times, on each path: most of what such a program takes to load (6.12, 6.18, 7.2).
 */
#define compat_untrusted(pointer, type) (compat_can_type() ? compat_typed(pointer, type) : (pointer))

/*
 * struct page has compound_head in 6.1 and 6.12, compound_info in 7.2. Bit 0 marks a tail page in both, and the rest
 * is taken for the head's address. tests/core/kernel.sh shows writeback billed through it on all three; whether a tail
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
	bool typed = compat_can_type();
	unsigned long word = typed ? compat_typed(folio, struct folio)->memcg_data : BPF_CORE_READ(folio, memcg_data);
	void *owner = (void *)(word & ~(unsigned long)COMPAT_MEMCG_FLAGS);

	if (!owner || word & COMPAT_MEMCG_SLAB)
		return NULL;
	if (word & COMPAT_MEMCG_KMEM || bpf_core_field_exists(struct obj_cgroup___root, is_root))
		return typed ? compat_typed(owner, struct obj_cgroup)->memcg : BPF_CORE_READ((struct obj_cgroup *)owner, memcg);
	return owner;
}

/* struct folio's flags are a number in 6.1 and 6.12, a struct of one number in 6.18 and 7.2. @folio is of a type the verifier
 * knows. */
struct folio___memdesc {
	struct {
		unsigned long f;
	} flags;
} __attribute__((preserve_access_index));

static __always_inline bool compat_folio_flag(struct folio *folio, enum pageflags flag_value)
{
	struct folio___memdesc *memdesc = (void *)folio;
	unsigned long flags;

	if (bpf_core_field_exists(memdesc->flags.f))
		flags = memdesc->flags.f;
	else
		flags = folio->flags;
	return flags >> flag_value & 1;
}

/* Their number of pages is _folio_nr_pages in 6.1 and 6.12, _nr_pages in 6.18 and 7.2, where the folio is large. */
struct folio___nr {
	unsigned int _nr_pages;
} __attribute__((preserve_access_index));

static __always_inline __u64 compat_folio_nr_pages(struct folio *folio)
{
	struct folio___nr *newer = (void *)folio;

	if (!compat_folio_flag(folio, bpf_core_enum_value(enum pageflags, PG_head)))
		return 1;
	if (bpf_core_field_exists(newer->_nr_pages))
		return newer->_nr_pages;
	return folio->_folio_nr_pages;
}

/*
 * From some kernel between 6.12 and 6.18 on a fault maps the whole of a large folio that it finds, and not only what of
 * it is around the fault (seen on 6.18, read in 7.2's source). Their struct folio tells them apart.
 */
static __always_inline bool compat_fault_maps_folios(void)
{
	return bpf_core_field_exists(struct folio___nr, _nr_pages);
}

/* First page of the file, and number of pages, of a large folio. For kernels of which the above is true; 1 if it is small. */
static __always_inline __u64 compat_large_folio(unsigned long folio, unsigned long *index)
{
	struct folio___memdesc *memdesc = (void *)folio;
	struct folio___nr *nr = (void *)folio;

	if (!(BPF_CORE_READ(memdesc, flags.f) >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	*index = BPF_CORE_READ((struct folio *)folio, index);
	return BPF_CORE_READ(nr, _nr_pages);
}

/* A process' flags are a number in 6.1 and 6.12, a struct of one number in 6.18 and 7.2. */
struct mm_struct___bitmap {
	struct {
		unsigned long __mm_flags[1];
	} flags;
} __attribute__((preserve_access_index));

static __always_inline unsigned long compat_mm_flags(struct mm_struct *mm)
{
	struct mm_struct___bitmap *newer = (void *)mm;

	return bpf_core_field_exists(newer->flags.__mm_flags) ? BPF_CORE_READ(newer, flags.__mm_flags[0])
							      : BPF_CORE_READ(mm, flags);
}

#endif
