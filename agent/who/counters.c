// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/who/counters.h"
#include "agent/lib/util.h"
#include "agent/who/who.h"

/* ---- reading ---- */

/* The counters of entry @i; those of a per-CPU map are added up into *@sums, which moves on, and is NULL for others. */
static const __u64 *value_of(const struct bpfobj_table *t, size_t i, bool percpu, size_t words, __u64 **sums)
{
	__u64 *sum;

	if (!percpu)
		return bpfobj_table_value(t, i);
	sum = *sums;
	bpfobj_percpu_sum(bpfobj_table_value(t, i), words, sum);
	*sums += words;
	return sum;
}

static void add_rows(struct who *w, struct counters_rows *r, const struct bpfobj_table *t, bool percpu, __u64 **sums)
{
	for (size_t i = 0; i < t->nr; i++) {
		const void *key = bpfobj_table_key(t, i);
		struct who_label label;

		if (!who_label(w, key, &label))
			continue;
		r->rows[r->nr++] = (struct counters_row){
			.vm = label.vm,
			.container = label.container,
			.key = key,
			.value = value_of(t, i, percpu, r->words, sums),
		};
	}
}

int counters_read(struct who *w, const struct counters *t, struct counters_rows *ret)
{
	bool percpu = counter_maps_is_percpu(t->live);
	__u64 *sums;
	int err;

	*ret = (struct counters_rows){ .words = bpf_map__value_size(t->gone) / sizeof(__u64) };
	err = counter_maps_read_live(t, &ret->live) ?: bpfobj_table_read(t->gone, &ret->gone);
	if (err)
		return err;
	ret->rows = calloc(ret->live.nr + ret->gone.nr + 1, sizeof(*ret->rows));
	ret->sums = percpu ? calloc(ret->live.nr + 1, ret->words * sizeof(__u64)) : NULL;
	if (!ret->rows || (percpu && !ret->sums))
		return -ENOMEM;
	sums = ret->sums;
	add_rows(w, ret, &ret->live, percpu, &sums);
	add_rows(w, ret, &ret->gone, false, NULL);
	return 0;
}

void counters_free(struct counters_rows *r)
{
	bpfobj_table_free(&r->live);
	bpfobj_table_free(&r->gone);
	free(r->rows);
	free(r->sums);
	*r = (struct counters_rows){};
}

/* ---- sums ---- */

int counters_by_label(const void *pa, const void *pb)
{
	const struct counters_row *a = pa, *b = pb;
	int diff = strcmp(a->vm, b->vm);

	return diff ? diff : strcmp(a->container, b->container);
}

void counters_for_each_sum(struct counters_rows *r, counters_compare_fn compare, bool (*wanted)(const struct counters_row *row),
			   void (*emit)(void *data, const struct counters_row *sum), void *data)
{
	_free_ __u64 *total = calloc(r->words + 1, sizeof(*total));
	struct counters_row sum = {};

	if (!total)
		return;
	qsort(r->rows, r->nr, sizeof(*r->rows), compare);
	for (size_t i = 0; i < r->nr; i++) {
		const struct counters_row *row = &r->rows[i];

		if (wanted && !wanted(row))
			continue;
		if (sum.value && compare(&sum, row)) {
			emit(data, &sum);
			sum.value = NULL;
		}
		if (!sum.value) {
			memset(total, 0, r->words * sizeof(*total));
			sum = *row;
			sum.value = total;
		}
		for (size_t w = 0; w < r->words; w++)
			total[w] += row->value[w];
	}
	if (sum.value)
		emit(data, &sum);
}
