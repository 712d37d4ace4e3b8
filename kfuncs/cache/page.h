/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_KFUNCS_CACHE_PAGE_H
#define NESTOR_KFUNCS_CACHE_PAGE_H

#include "kfuncs/compat.h"

/*
 * Is @folio one of the page cache that is filled by a read, or written back by a write? Any other one is a buffer of
 * direct I/O, also if it is in the page cache: users map pages of files of their own, give them as buffers, and write to
 * them while the hash is taken. Such a page is up to date, or it could not be mapped. Swap and tmpfs have swap-backed pages.
 * In any context.
 */
static inline bool page_is_of_cache(struct folio *folio, bool is_read)
{
	if (!folio_mapping(folio) || folio_test_swapbacked(folio) || folio_test_swapcache(folio))
		return false;
	return is_read ? !folio_test_uptodate(folio) && !folio_mapped(folio) : folio_test_writeback(folio);
}

#endif
