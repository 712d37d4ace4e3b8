// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that use bpf_cache_put_folio() wrongly, and one that does not. tests/tools/misuse.c loads each by itself. What
 * the verifier has to say of each is in its name's list there.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kfuncs/cache/kfuncs.h"

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

/* No array: that one has its elements is known to newer verifiers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct folio);
} folios SEC(".maps");

static __always_inline void *in_map(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&folios, &first);
}

#define DELETE "?tp_btf/mm_filemap_delete_from_page_cache"
#define PROGRAM(name, section, ...) SEC(section) int BPF_PROG(name, ##__VA_ARGS__)
#define PUT(what) (bpf_cache_put_folio((struct folio *)(what), 0, 0) & 0)

/* ---- right ---- */

PROGRAM(right, DELETE, struct folio *folio)
{
	return PUT(folio);
}

/* ---- not a folio ---- */

PROGRAM(null, DELETE, struct folio *folio)
{
	return PUT(NULL);
}

PROGRAM(number, DELETE, struct folio *folio)
{
	return PUT(0xffff888000000000UL);
}

PROGRAM(found_null, DELETE, struct folio *folio)
{
	struct folio *other = in_map();

	return other ? 0 : PUT(other);
}

PROGRAM(a_mapping, "?tp_btf/mm_filemap_map_pages", struct address_space *mapping)
{
	return PUT(mapping);
}

PROGRAM(a_task, DELETE, struct folio *folio)
{
	return PUT(bpf_get_current_task_btf());
}

PROGRAM(a_request, "?tp_btf/block_rq_issue", struct request *rq)
{
	return PUT(rq);
}

PROGRAM(on_the_stack, DELETE, struct folio *folio)
{
	char fake[64] = {};

	return PUT(fake);
}

PROGRAM(of_a_map, DELETE, struct folio *folio)
{
	struct folio *other = in_map();

	return other ? PUT(other) : 0;
}

PROGRAM(perhaps_of_a_map, DELETE, struct folio *folio)
{
	return PUT(in_map());
}

SEC(DELETE) int the_context(__u64 *ctx)
{
	return PUT(ctx);
}

/* ---- a folio, but not one that lives for sure ---- */

PROGRAM(behind_it, DELETE, struct folio *folio)
{
	return PUT(folio + 1);
}

PROGRAM(within_it, DELETE, struct folio *folio)
{
	return PUT((char *)folio + 8);
}

PROGRAM(any_distance, DELETE, struct folio *folio)
{
	return PUT((char *)folio + (bpf_get_prandom_u32() & 64));
}

PROGRAM(followed, DELETE, struct folio *folio)
{
	return PUT(folio->lru.next);
}

PROGRAM(cast, DELETE, struct folio *folio)
{
	return PUT(bpf_rdonly_cast(folio, bpf_core_type_id_kernel(struct folio)));
}

PROGRAM(read_from_memory, DELETE, struct folio *folio)
{
	struct folio *other;

	bpf_probe_read_kernel(&other, sizeof(other), &folio->lru.next);
	return PUT(other);
}

PROGRAM(entry_of_function, "?fentry/folio_mark_accessed", struct folio *folio)
{
	return PUT(folio);
}

/* ---- other arguments ---- */

PROGRAM(pool_is_a_pointer, DELETE, struct folio *folio)
{
	register void *pool asm("r2") = folio;

	asm volatile("" : "+r"(pool));
	return bpf_cache_put_folio(folio, (__u32)(unsigned long)pool, 0) & 0;
}

/* ---- not a tracing program ---- */

SEC("?kprobe/folio_mark_accessed") int kprobe(struct pt_regs *ctx)
{
	return PUT(PT_REGS_PARM1(ctx));
}

SEC("?raw_tp/mm_filemap_delete_from_page_cache") int raw_tracepoint(struct bpf_raw_tracepoint_args *ctx)
{
	return PUT(ctx->args[0]);
}

SEC("?tp/filemap/mm_filemap_delete_from_page_cache") int tracepoint(void *ctx)
{
	return PUT(ctx);
}

SEC("?xdp") int xdp(struct xdp_md *ctx)
{
	return PUT(ctx);
}

SEC("?tc") int classifier(struct __sk_buff *ctx)
{
	return PUT(ctx);
}

SEC("?socket") int socket_filter(struct __sk_buff *ctx)
{
	return PUT(ctx);
}

SEC("?cgroup_skb/egress") int cgroup_skb(struct __sk_buff *ctx)
{
	return PUT(ctx);
}

SEC("?perf_event") int perf_event(struct bpf_perf_event_data *ctx)
{
	return PUT(ctx);
}

char LICENSE[] SEC("license") = "GPL";
