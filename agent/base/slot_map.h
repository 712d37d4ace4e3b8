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

struct slot_map {
	const struct bpf_map *map, *bitmap;
};

/* Of each place whose bit is set, a copy; until one returns not 0, which is returned. -errno. */
int slot_map_for_each(const struct slot_map *p, int (*one)(void *data, __u32 index, const void *copy), void *data);
size_t slot_map_nr_set(const struct slot_map *p);

/* A part of a map as it is, and not a copy. NULL: not to be had. */
struct slot_window {
	void *at;
	void *pages;
	size_t len;
};

void *slot_map_window(const struct bpf_map *map, size_t offset, size_t len, struct slot_window *ret);
void slot_map_close_window(struct slot_window *m);

void slot_map_clear_bit(const struct slot_map *p, __u32 index);

#endif
