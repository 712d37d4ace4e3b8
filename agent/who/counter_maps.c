// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/bpfobj.h"
#include "agent/who/counter_maps.h"
#include "agent/lib/util.h"
#include "bpf/slot.h"

bool counter_maps_is_percpu(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
}

/* ---- an array of places ---- */

static struct slot_map places_of(const struct counters *t)
{
	return (struct slot_map){ .map = t->live, .bitmap = t->live_bitmap };
}

/* What follows the state. */
static const char *place_key(const void *place)
{
	return (const char *)place + sizeof(__u64);
}

static int append(void *data, __u32 index, const void *copy)
{
	const __u64 *state = copy;
	struct bpfobj_table *t = data;

	(void)index;
	if (*state != SLOT_MAP_USED)
		return 0;
	memcpy(t->keys + t->nr * t->key_size, place_key(copy), t->key_size);
	memcpy(t->values + t->nr * t->value_size, place_key(copy) + t->key_size, t->value_size);
	t->nr++;
	return 0;
}

static int read_places(const struct counters *t, struct bpfobj_table *ret)
{
	struct bpfobj_table copy = { .key_size = bpf_map__key_size(t->gone), .value_size = bpf_map__value_size(t->gone) };
	struct slot_map p = places_of(t);
	size_t most = bpf_map__max_entries(t->live);
	int err;

	copy.keys = malloc(most * copy.key_size);
	copy.values = malloc(most * copy.value_size); /* pages that are not written take no memory */
	err = copy.keys && copy.values ? slot_map_for_each(&p, append, &copy) : -ENOMEM;
	if (err)
		bpfobj_table_free(&copy);
	*ret = copy;
	return err;
}

int counter_maps_read_live(const struct counters *t, struct bpfobj_table *ret)
{
	return t->live_bitmap ? read_places(t, ret) : bpfobj_table_read(t->live, ret);
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

static int mover_init(struct mover *m, const struct counters *tally, const struct bpf_map *from, const struct bpfobj_table *t)
{
	*m = (struct mover){ .words = bpf_map__value_size(tally->gone) / sizeof(__u64),
			     .percpu = counter_maps_is_percpu(from) };
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
	bpfobj_percpu_sum(value, m->words, sum);
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
	return bsearch(key, heirs, nr, sizeof(*heirs), counter_maps_by_owner);
}

struct retirement {
	const struct counters *tally;
	const struct heir *heirs;
	size_t nr;
	struct mover mover;
};

/*
 * The same for a place: its counters are taken one by one, so that nothing is missed that is counted meanwhile. From when
 * it is no longer used nobody finds it; who had found it before has counted until we come back from the first call.
 */
static void empty_place(const struct retirement *r, __u32 index, const __u64 *seen)
{
	size_t size = bpf_map__value_size(r->tally->live), key_size = bpf_map__key_size(r->tally->gone);
	int gone = bpf_map__fd(r->tally->gone);
	const struct mover *m = &r->mover;
	struct slot_map p = places_of(r->tally);
	struct slot_window mapped;
	__u64 *state, *counters;

	state = slot_map_window(r->tally->live, index * size, size, &mapped);
	if (!state)
		return;
	counters = state + (sizeof(*state) + key_size) / sizeof(*state);
	__atomic_store_n(state, SLOT_MAP_CLAIMED, __ATOMIC_SEQ_CST);
	if (add_to_gone(m, gone, seen, NULL)) {
		__atomic_store_n(state, SLOT_MAP_USED, __ATOMIC_RELEASE);
	} else {
		for (size_t w = 0; w < m->words; w++)
			m->sum[w] = __atomic_exchange_n(&counters[w], 0, __ATOMIC_RELAXED);
		if (memcmp(m->sum, seen, m->words * sizeof(*seen)))
			add_to_gone(m, gone, m->sum, seen);
		slot_map_clear_bit(&p, index); /* before somebody claims the place, and sets it */
		__atomic_store_n(state, SLOT_MAP_FREE, __ATOMIC_RELEASE);
	}
	slot_map_close_window(&mapped);
}

static int retire_place(void *data, __u32 index, const void *copy)
{
	struct retirement *r = data;
	size_t key_size = bpf_map__key_size(r->tally->gone);
	const struct heir *h = heir_of(place_key(copy), r->heirs, r->nr);

	if (*(const __u64 *)copy != SLOT_MAP_USED || !h)
		return 0;
	memcpy(r->mover.key, place_key(copy), key_size);
	memcpy(r->mover.key, &h->to, sizeof(h->to));
	memcpy(r->mover.seen, place_key(copy) + key_size, r->mover.words * sizeof(__u64));
	empty_place(r, index, r->mover.seen);
	return 0;
}

static void retire_places(const struct counters *t, const struct heir *heirs, size_t nr)
{
	struct bpfobj_table sizes = { .key_size = bpf_map__key_size(t->gone), .value_size = bpf_map__value_size(t->gone) };
	struct retirement r = { .tally = t, .heirs = heirs, .nr = nr };
	struct slot_map p = places_of(t);

	if (mover_init(&r.mover, t, t->live, &sizes))
		return;
	slot_map_for_each(&p, retire_place, &r);
	mover_free(&r.mover);
}

int counter_maps_by_owner(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct owner));
}

static void retire_from(const struct counters *tally, const struct bpf_map *from, int gone, const struct heir *heirs, size_t nr)
{
	struct mover m;
	struct bpfobj_table t;

	if (bpfobj_table_read(from, &t))
		return;
	if (mover_init(&m, tally, from, &t)) {
		bpfobj_table_free(&t);
		return;
	}
	for (size_t i = 0; i < t.nr; i++) {
		const struct heir *h = heir_of(bpfobj_table_key(&t, i), heirs, nr);

		if (h)
			move_entry(&m, from, gone, bpfobj_table_key(&t, i), bpfobj_table_value(&t, i), &h->to);
	}
	mover_free(&m);
	bpfobj_table_free(&t);
}

void counter_maps_retire(const struct counters *t, struct heir *heirs, size_t nr)
{
	int gone = bpf_map__fd(t->gone);

	qsort(heirs, nr, sizeof(*heirs), counter_maps_by_owner);
	if (t->live_bitmap)
		retire_places(t, heirs, nr);
	else
		retire_from(t, t->live, gone, heirs, nr);
	retire_from(t, t->gone, gone, heirs, nr);
}
