/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The maps behind counters per owner: one whose key begins with struct owner (bpf/owner.h) and whose value is made of
 * __u64 counters, and a second one of the same layout (but always a hash) for what owners had counted that are gone. The
 * first may also be an array of places (agent/base/slot_map.h): of its state, a key and a value each.
 * Reading them is for agent/who/counters.h.
 */
#ifndef NESTOR_COUNTER_MAPS_H
#define NESTOR_COUNTER_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <bpf/libbpf.h>

#include "agent/base/bpfobj.h"
#include "agent/base/slot_map.h"
#include "bpf/owner.h"

struct counters {
	struct bpf_map *live; /* written by BPF; hash, per-CPU hash or places */
	struct bpf_map *live_bitmap; /* of places, else NULL */
	struct bpf_map *gone; /* hash, written by the agent alone */
	LIST_ENTRY(counters) entry;
};

/* Has its value one part per CPU? */
bool counter_maps_is_percpu(const struct bpf_map *map);

/* Copies of what is in them; 0 or -errno. */
int counter_maps_read_live(const struct counters *t, struct bpfobj_table *ret);

/* Who is gone, and who has his counts from now on. */
struct heir {
	struct owner from, to;
};

int counter_maps_by_owner(const void *a, const void *b); /* of two that begin with struct owner */

/* Moves counts on; called by who alone. Sorts @heirs by owner. */
void counter_maps_retire(const struct counters *t, struct heir *heirs, size_t nr);

#endif
