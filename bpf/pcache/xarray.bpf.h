/* SPDX-License-Identifier: GPL-2.0 */
/* Reading an xarray, such as the page cache of a file. Call it under RCU; a concurrent change may give a wrong count. */
#ifndef NESTOR_PCACHE_XARRAY_BPF_H
#define NESTOR_PCACHE_XARRAY_BPF_H

#define XA_CHUNK_BITS 6 /* unless CONFIG_BASE_SMALL */
#define XA_CHUNK (1UL << XA_CHUNK_BITS)
#define XA_DEPTH_MAX 7 /* 42 bits of index, 6 a level */
#define XA_PIECE 16UL

/* An entry's low bits: 00 a pointer, x1 a value (the shadow of a page that was evicted), 10 internal: a node, or small. */
static __always_inline bool xa_is_node_entry(unsigned long entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

/*
 * Not 0 and no value: a pointer, or a sibling, a further slot of a pointer that takes several. Nodes are not asked
 * about. Without branches, all of which the verifier would walk; the compiler must not see through it.
 */
static __always_inline unsigned long xa_is_present(unsigned long entry)
{
	unsigned long sign_unless_0 = entry | -entry;

	barrier_var(sign_unless_0);
	return sign_unless_0 >> 63 & ~entry & 1;
}

static __always_inline bool xa_is_sibling(unsigned long entry)
{
	return (entry & 3) == 2 && entry < XA_CHUNK << 2;
}

/*
 * The functions that are not static the verifier walks once, and not anew for every state of the callers.
 *
 * The entry at @offset of a node; of a sibling, the one that it belongs to.
 */
__noinline unsigned long xa_slot(unsigned long node_entry, unsigned long offset)
{
	struct xa_node *node = (struct xa_node *)(node_entry - 2);
	unsigned long entry = (unsigned long)BPF_CORE_READ(node, slots[offset & (XA_CHUNK - 1)]);

	if (xa_is_sibling(entry))
		entry = (unsigned long)BPF_CORE_READ(node, slots[entry >> 2]);
	return entry;
}

/* The leaf that has @index, if there is one; else the entry that stands in its place, or 0. */
__noinline unsigned long xa_leaf(unsigned long head, unsigned long index)
{
	unsigned long entry = head;

	for (int i = 0; i < XA_DEPTH_MAX && xa_is_node_entry(entry); i++) {
		unsigned char shift = BPF_CORE_READ((struct xa_node *)(entry - 2), shift);

		if (!i && index >> shift >> XA_CHUNK_BITS)
			return 0; /* beyond all entries */
		if (!shift)
			return entry;
		entry = xa_slot(entry, index >> shift);
	}
	return head == entry && index ? 0 : entry; /* an only entry has index 0 */
}

/* How many of the @nr entries from @index on are pointers; @nr is at most XA_PIECE, and one leaf has all. */
__noinline unsigned int xa_count_piece(unsigned long head, unsigned long index, unsigned long nr)
{
	unsigned long slots[XA_PIECE] = {}, entry = xa_leaf(head, index);
	struct xa_node *node = (struct xa_node *)(entry - 2);
	unsigned int count = 0;

	if (!xa_is_node_entry(entry))
		return xa_is_present(entry) * (entry == head ? 1 : nr);
	if (nr > XA_PIECE)
		return 0;
	bpf_probe_read_kernel(slots, sizeof(slots[0]) * nr, &node->slots[index & (XA_CHUNK - 1)]);
	for (unsigned int i = 0; i < XA_PIECE; i++)
		count += xa_is_present(slots[i]);
	return count;
}

/* The pointer at @index, or 0. */
static __always_inline unsigned long xa_load(unsigned long head, unsigned long index)
{
	unsigned long entry = xa_leaf(head, index);

	if (xa_is_node_entry(entry))
		entry = xa_slot(entry, index);
	return xa_is_present(entry) ? entry : 0;
}

/* How many entries from @first to @last are pointers; those beyond two pieces are taken for such. */
static __always_inline unsigned int xa_count(unsigned long head, unsigned long first, unsigned long last)
{
	unsigned int count = 0;
	unsigned long nr;

	for (int i = 0; i < 2 && first <= last; i++, first += nr) {
		nr = XA_CHUNK - (first & (XA_CHUNK - 1));
		if (nr > XA_PIECE)
			nr = XA_PIECE;
		if (nr > last - first + 1)
			nr = last - first + 1;
		count += xa_count_piece(head, first, nr);
	}
	return first <= last ? count + (last - first + 1) : count;
}

#endif
