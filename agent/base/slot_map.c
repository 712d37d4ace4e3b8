// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/slot_map.h"
#include "agent/lib/util.h"

static __u64 *read_bitmap(const struct slot_map *p, size_t *ret_words)
{
	__u64 *words = malloc(bpf_map__value_size(p->bitmap));
	__u32 first = 0;

	if (words && bpf_map_lookup_elem(bpf_map__fd(p->bitmap), &first, words)) {
		free(words);
		return NULL;
	}
	*ret_words = bpf_map__value_size(p->bitmap) / sizeof(*words);
	return words;
}

int slot_map_for_each(const struct slot_map *p, int (*one)(void *data, __u32 index, const void *copy), void *data)
{
	size_t nr_words = 0;
	_free_ __u64 *words = read_bitmap(p, &nr_words);
	_free_ void *copy = malloc(bpf_map__value_size(p->map));
	int err = 0;

	if (!words || !copy)
		return -ENOMEM;
	for (size_t w = 0; w < nr_words; w++) {
		for (__u64 bits = words[w]; bits && !err; bits &= bits - 1) {
			__u32 index = (__u32)(w * 64 + (size_t)__builtin_ctzll(bits));

			if (!bpf_map_lookup_elem(bpf_map__fd(p->map), &index, copy))
				err = one(data, index, copy);
		}
	}
	return err;
}

size_t slot_map_nr_set(const struct slot_map *p)
{
	size_t nr_words = 0, nr = 0;
	_free_ __u64 *words = read_bitmap(p, &nr_words);

	for (size_t w = 0; words && w < nr_words; w++)
		nr += (size_t)__builtin_popcountll(words[w]);
	return nr;
}

void *slot_map_window(const struct bpf_map *map, size_t offset, size_t len, struct slot_window *ret)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = offset % page;
	struct slot_window m = { .len = before + len };

	m.pages = mmap(NULL, m.len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), (off_t)(offset - before));
	if (m.pages == MAP_FAILED)
		return NULL;
	m.at = (char *)m.pages + before;
	*ret = m;
	return m.at;
}

void slot_map_close_window(struct slot_window *m)
{
	munmap(m->pages, m->len);
}

void slot_map_clear_bit(const struct slot_map *p, __u32 index)
{
	struct slot_window m;
	__u64 *words = slot_map_window(p->bitmap, 0, bpf_map__value_size(p->bitmap), &m);

	if (!words)
		return;
	__atomic_fetch_and(&words[index / 64], ~(1ULL << index % 64), __ATOMIC_SEQ_CST);
	slot_map_close_window(&m);
}
