// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/bpfobj.h"
#include "agent/tallymap.h"
#include "agent/util.h"

bool tally_is_percpu(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
}

/* Buffers for one entry: its key, its value for each CPU, and two sums. */
struct mover {
	size_t words;
	bool percpu;
	char *key;
	__u64 *value, *sum, *seen;
};

static void mover_free(struct mover *m)
{
	free(m->key);
	free(m->value);
	free(m->sum);
	free(m->seen);
}

static int mover_init(struct mover *m, const struct bpf_map *from, const struct table *t)
{
	*m = (struct mover){ .words = bpf_map__value_size(from) / sizeof(__u64), .percpu = tally_is_percpu(from) };
	m->key = malloc(t->key_size);
	m->value = malloc(t->value_size);
	m->sum = calloc(m->words, sizeof(__u64));
	m->seen = calloc(m->words, sizeof(__u64));
	if (m->key && m->value && m->sum && m->seen)
		return 0;
	mover_free(m);
	return -ENOMEM;
}

static const __u64 *flat(const struct mover *m, const void *value, __u64 *sum)
{
	if (!m->percpu)
		return value;
	percpu_sum(value, m->words, sum);
	return sum;
}

/* gone[key] += plus - minus; @minus may be NULL */
static int add_to_gone(const struct mover *m, int gone, const __u64 *plus, const __u64 *minus)
{
	_free_ __u64 *sum = calloc(m->words, sizeof(*sum));

	if (!sum)
		return -ENOMEM;
	bpf_map_lookup_elem(gone, m->key, sum);
	for (size_t w = 0; w < m->words; w++)
		sum[w] += plus[w] - (minus ? minus[w] : 0);
	return bpf_map_update_elem(gone, m->key, sum, BPF_ANY);
}

/*
 * Added first, removed then: to be killed in between counts twice, which is better than to count backwards. What was
 * counted meanwhile is added at the end.
 */
static void move_entry(struct mover *m, const struct bpf_map *from, int gone, const void *key, const void *value,
		       const struct owner *to)
{
	const __u64 *seen = flat(m, value, m->seen), *last;

	memcpy(m->key, key, bpf_map__key_size(from));
	memcpy(m->key, to, sizeof(*to));
	if (add_to_gone(m, gone, seen, NULL) || bpf_map_lookup_and_delete_elem(bpf_map__fd(from), key, m->value))
		return;
	last = flat(m, m->value, m->sum);
	if (memcmp(last, seen, m->words * sizeof(*last)))
		add_to_gone(m, gone, last, seen);
}

int tally_by_owner(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct owner));
}

static void retire_from(const struct bpf_map *from, int gone, const struct heir *heirs, size_t nr)
{
	struct mover m;
	struct table t;

	if (table_read(from, &t))
		return;
	if (mover_init(&m, from, &t)) {
		table_free(&t);
		return;
	}
	for (size_t i = 0; i < t.nr; i++) {
		const struct heir *h = bsearch(table_key(&t, i), heirs, nr, sizeof(*heirs), tally_by_owner);

		if (h)
			move_entry(&m, from, gone, table_key(&t, i), table_value(&t, i), &h->to);
	}
	mover_free(&m);
	table_free(&t);
}

void tally_retire(const struct tally *t, struct heir *heirs, size_t nr)
{
	int gone = bpf_map__fd(t->gone);

	qsort(heirs, nr, sizeof(*heirs), tally_by_owner);
	retire_from(t->live, gone, heirs, nr);
	retire_from(t->gone, gone, heirs, nr);
}
