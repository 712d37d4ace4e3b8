/* SPDX-License-Identifier: GPL-2.0 */
/* Nothing is dropped silently: a room declares LOST_MAP(<room>_lost) and calls lost_count() with a reason. */
#ifndef NESTOR_BPF_LIB_LOST_H
#define NESTOR_BPF_LIB_LOST_H

#include "bpf/lost.h"

#define LOST_MAP(map_name)                                                                                                     \
	struct {                                                                                                               \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                                       \
		__uint(max_entries, LOST_REASONS);                                                                             \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                                           \
		__type(key, __u32);                                                                                            \
		__type(value, __u64);                                                                                          \
	} map_name SEC(".maps")

static __always_inline void lost_count(void *map, enum lost_reason reason)
{
	__u32 key = reason;
	__u64 *n = bpf_map_lookup_elem(map, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

#endif
