// SPDX-License-Identifier: GPL-2.0
/* What BPF programs may call. */
#include "kfuncs/cache/balance.h"
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/commands.h"
#include "kfuncs/cache/kfuncs.h"
#include "kfuncs/cache/pool.h"

/* From page @first on. */
static void forget_pages(struct folio *folio, u32 first)
{
	u32 frame = folio_pfn(folio), nr = folio_nr_pages(folio), i;

	for (i = first; i < nr; i++)
		cache_blocks_forget(frame + i);
}

/* Its first pages: the page cache is locked, and nobody may hold the folio for later. */
static int put_folio(struct folio *folio, struct cache_pool *pool, enum nestor_cache_store store)
{
	u32 frame = folio_pfn(folio), all = folio_nr_pages(folio), nr = min_t(u32, all, PAGES_AT_ONCE), i;
	int stored = 0;

	for (i = 0; i < nr; i++) {
		int r = cache_blocks_put(frame + i, pool, store);

		if (r)
			pool_count(pool, drops[-r - 1], 1);
		else
			stored++;
	}
	forget_pages(folio, nr);
	pool_count(pool, drops[NESTOR_CACHE_DROP_LARGE], all - nr);
	pool_count(pool, puts[store], stored);
	return stored;
}

static struct cache_pool *pool_for(u32 pool, u32 store)
{
	struct cache_pool *p = cache_in_session() ? cache_pool_by_id(pool) : NULL;

	if (!p)
		return NULL;
	if (store < NESTOR_CACHE_STORES && READ_ONCE(p->config.weight[store]))
		return p;
	if (store == NESTOR_CACHE_NOWHERE)
		pool_count(p, drops[NESTOR_CACHE_DROP_UNWANTED], 1);
	else
		pool_count(p, drops[NESTOR_CACHE_DROP_NO_SHARE], 1);
	return NULL;
}

__bpf_kfunc_start_defs();

/* Described in kfuncs/cache/kfuncs.h. */
__bpf_kfunc int bpf_cache_put_folio(struct folio *folio, u32 pool, u32 store)
{
	struct cache_pool *p;
	int stored = 0;

	if (folio_pfn(folio) + folio_nr_pages(folio) > U32_MAX)
		return 0;
	rcu_read_lock();
	/* Nobody can get hold of a folio without references: it is clean, and about to be freed. */
	p = folio_ref_count(folio) ? NULL : pool_for(pool, store);
	if (p)
		stored = put_folio(folio, p, store);
	else
		forget_pages(folio, 0);
	rcu_read_unlock();
	cache_balance();
	return stored;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(cache_kfunc_ids)
BTF_ID_FLAGS(func, bpf_cache_put_folio, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(cache_kfunc_ids)

static const struct btf_kfunc_id_set cache_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &cache_kfunc_ids,
};

int cache_kfuncs_open(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &cache_kfunc_set);
}
