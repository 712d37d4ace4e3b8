/* SPDX-License-Identifier: GPL-2.0 */
/* Functions of the module for BPF programs of type tracing; a program that calls one keeps the module loaded. */
#ifndef NESTOR_KFUNCS_CACHE_KFUNCS_H
#define NESTOR_KFUNCS_CACHE_KFUNCS_H

#include "kfuncs/cache.h"

/*
 * For a program at tp_btf/mm_filemap_delete_from_page_cache: offers the pages of @folio, which leaves the page cache, to
 * @store (enum nestor_cache_store, or NESTOR_CACHE_NOWHERE) for @pool. Only of a folio that nobody holds any more (reclaimed or
 * dropped, clean) anything is kept; of any other, and without the agent's session, it is just forgotten which blocks it had.
 *
 * Returns how many pages the store took: 0 if none of the folio is known, or the pool does not exist or has no weight in
 * the store. Copies and hashes 4 KiB per page, with interrupts as they are, and therefore no more than the first 32 pages of a
 * folio; does not sleep; takes locks that are only ever held with interrupts off.
 */
#ifdef __VMLINUX_H__
extern int bpf_cache_put_folio(struct folio *folio, __u32 pool, __u32 store) __ksym __weak;
#else
struct folio;
int bpf_cache_put_folio(struct folio *folio, __u32 pool, __u32 store);
/* Makes them known. 0 or -errno. */
int cache_kfuncs_open(void);
#endif

#endif
