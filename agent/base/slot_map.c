// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/slot_map.h"
#include "agent/lib/util.h"

static __u64 *read_bitmap(const struct places *p, size_t *ret_words)
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

int places_for_each(const struct places *p, int (*one)(void *data, __u32 index, const void *copy), void *data)
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

size_t places_nr_set(const struct places *p)
{
	size_t nr_words = 0, nr = 0;
	_free_ __u64 *words = read_bitmap(p, &nr_words);

	for (size_t w = 0; words && w < nr_words; w++)
		nr += (size_t)__builtin_popcountll(words[w]);
	return nr;
}

void *mapped_open(const struct bpf_map *map, size_t offset, size_t len, struct mapped *ret)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = offset % page;
	struct mapped m = { .len = before + len };

	m.pages = mmap(NULL, m.len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), (off_t)(offset - before));
	if (m.pages == MAP_FAILED)
		return NULL;
	m.at = (char *)m.pages + before;
	*ret = m;
	return m.at;
}

void mapped_close(struct mapped *m)
{
	munmap(m->pages, m->len);
}

void places_clear_bit(const struct places *p, __u32 index)
{
	struct mapped m;
	__u64 *words = mapped_open(p->bitmap, 0, bpf_map__value_size(p->bitmap), &m);

	if (!words)
		return;
	__atomic_fetch_and(&words[index / 64], ~(1ULL << index % 64), __ATOMIC_SEQ_CST);
	mapped_close(&m);
}
