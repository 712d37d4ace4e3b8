/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An array that BPF programs search themselves, as a hash table: what is at a place begins with its state
 * (bpf/slot.h). A bitmap, the only element of a second map, says where to look, for
 * most places are free and to go through all of them takes longer than a scrape may. Both can be mapped.
 */
#ifndef NESTOR_SLOT_MAP_H
#define NESTOR_SLOT_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include <bpf/libbpf.h>

struct places {
	const struct bpf_map *map, *bitmap;
};

/* Of each place whose bit is set, a copy; until one returns not 0, which is returned. -errno. */
int places_for_each(const struct places *p, int (*one)(void *data, __u32 index, const void *copy), void *data);
size_t places_nr_set(const struct places *p);

/* A part of a map as it is, and not a copy. NULL: not to be had. */
struct mapped {
	void *at;
	void *pages;
	size_t len;
};

void *mapped_open(const struct bpf_map *map, size_t offset, size_t len, struct mapped *ret);
void mapped_close(struct mapped *m);

void places_clear_bit(const struct places *p, __u32 index);

#endif
