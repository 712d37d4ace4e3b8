// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that choose stores, each an object of its own (choose-NAME.bpf.o, with CHOOSE_NAME defined): two that are taken,
 * and others that are refused. tests/cache/coherence.guest.sh has nestorctl load them.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bpf/cache_choose.h"

#define PLACE "freplace/cache_choose"
#define ARGS __u64 cgroup, __u32 dev, __u64 inode, __u64 index, __u32 store

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} asked SEC(".maps");

#if defined(CHOOSE_head)
/* The first MiB of a file, as policy has it; counts how often it is asked for each cgroup. */
static __noinline void count(__u64 cgroup)
{
	__u64 *n = bpf_map_lookup_elem(&asked, &cgroup), one = 1;

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&asked, &cgroup, &one, BPF_ANY);
}

SEC(PLACE)
__u32 head(ARGS)
{
	count(cgroup);
	return index < 256 ? store : NESTOR_CACHE_NOWHERE;
}
#elif defined(CHOOSE_ssd)
SEC(PLACE)
__u32 ssd(ARGS)
{
	return NESTOR_CACHE_SSD;
}
#elif defined(CHOOSE_long)
SEC(PLACE)
__u32 too_long(ARGS)
{
	volatile __u32 sum = 0;

	for (__u32 i = 0; i < 2000; i++)
		sum += i;
	return sum;
}
#elif defined(CHOOSE_loop)
/* Eight million rounds, of which the verifier walks one. */
static long once(__u64 i, void *sum)
{
	return 0;
}

SEC(PLACE)
__u32 loop(ARGS)
{
	bpf_loop(1 << 23, once, NULL, 0);
	return store;
}
#elif defined(CHOOSE_global)
/* The verifier walks this once, and it runs a hundred times. */
__noinline __u32 other(__u32 store)
{
	return store;
}

SEC(PLACE)
__u32 global(ARGS)
{
	for (int i = 0; i < 100; i++)
		store = other(store);
	return store;
}
#elif defined(CHOOSE_wild)
SEC(PLACE)
__u32 wild(ARGS)
{
	return *(__u32 *)inode;
}
#elif defined(CHOOSE_type)
SEC(PLACE)
__u32 type(__u64 cgroup, __u32 store)
{
	return store;
}
#elif defined(CHOOSE_place)
SEC("freplace/cache_delete")
int place(void *ctx)
{
	return 0;
}
#elif defined(CHOOSE_two)
SEC(PLACE)
__u32 two(ARGS)
{
	return store;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int another(void *ctx)
{
	return 0;
}
#else
#error "which?"
#endif

char LICENSE[] SEC("license") = "GPL";
