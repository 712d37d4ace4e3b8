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

/* ---- an array of places ---- */

static char *place_key(const struct places *p, size_t i)
{
	return (char *)places_at(p, i) + sizeof(__u64);
}

static int read_places(const struct tally *t, struct table *ret)
{
	struct table copy = { .key_size = bpf_map__key_size(t->gone), .value_size = bpf_map__value_size(t->gone) };
	struct places p;
	size_t used = 0;
	int err = places_open(t->live, &p);

	if (err)
		return err;
	for (size_t i = 0; i < p.nr; i++)
		used += places_used(&p, i);
	copy.keys = malloc(used * copy.key_size + 1);
	copy.values = malloc(used * copy.value_size + 1);
	if (!copy.keys || !copy.values)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < p.nr && copy.nr < used; i++) {
		if (!places_ready(&p, i))
			continue;
		memcpy(copy.keys + copy.nr * copy.key_size, place_key(&p, i), copy.key_size);
		memcpy(copy.values + copy.nr * copy.value_size, place_key(&p, i) + copy.key_size, copy.value_size);
		copy.nr++;
	}
	places_close(&p);
	if (err)
		table_free(&copy);
	*ret = copy;
	return err;
}

int tally_read_live(const struct tally *t, struct table *ret)
{
	return places_is(t->live) ? read_places(t, ret) : table_read(t->live, ret);
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

static int mover_init(struct mover *m, const struct tally *tally, const struct bpf_map *from, const struct table *t)
{
	*m = (struct mover){ .words = bpf_map__value_size(tally->gone) / sizeof(__u64), .percpu = tally_is_percpu(from) };
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

static const struct heir *heir_of(const void *key, const struct heir *heirs, size_t nr)
{
	return bsearch(key, heirs, nr, sizeof(*heirs), tally_by_owner);
}

/* The same for a place: its counters are taken one by one, so that nothing is missed that is counted meanwhile. */
static void move_place(const struct mover *m, const struct places *p, size_t i, size_t key_size, int gone,
		       const struct owner *to)
{
	__u64 *counters = (void *)(place_key(p, i) + key_size);

	memcpy(m->key, place_key(p, i), key_size);
	memcpy(m->key, to, sizeof(*to));
	memcpy(m->seen, counters, m->words * sizeof(*counters));
	if (add_to_gone(m, gone, m->seen, NULL))
		return;
	for (size_t w = 0; w < m->words; w++)
		m->sum[w] = __atomic_exchange_n(&counters[w], 0, __ATOMIC_RELAXED);
	if (memcmp(m->sum, m->seen, m->words * sizeof(*counters)))
		add_to_gone(m, gone, m->sum, m->seen);
	places_free(p, i);
}

static void retire_places(const struct tally *t, int gone, const struct heir *heirs, size_t nr)
{
	struct table sizes = { .key_size = bpf_map__key_size(t->gone), .value_size = bpf_map__value_size(t->gone) };
	struct places p;
	struct mover m;

	if (places_open(t->live, &p))
		return;
	if (!mover_init(&m, t, t->live, &sizes)) {
		for (size_t i = 0; i < p.nr; i++) {
			const struct heir *h = places_ready(&p, i) ? heir_of(place_key(&p, i), heirs, nr) : NULL;

			if (h)
				move_place(&m, &p, i, sizes.key_size, gone, &h->to);
		}
		mover_free(&m);
	}
	places_close(&p);
}

int tally_by_owner(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct owner));
}

static void retire_from(const struct tally *tally, const struct bpf_map *from, int gone, const struct heir *heirs, size_t nr)
{
	struct mover m;
	struct table t;

	if (table_read(from, &t))
		return;
	if (mover_init(&m, tally, from, &t)) {
		table_free(&t);
		return;
	}
	for (size_t i = 0; i < t.nr; i++) {
		const struct heir *h = heir_of(table_key(&t, i), heirs, nr);

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
	if (places_is(t->live))
		retire_places(t, gone, heirs, nr);
	else
		retire_from(t, t->live, gone, heirs, nr);
	retire_from(t, t->gone, gone, heirs, nr);
}
