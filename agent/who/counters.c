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
static const __u64 *value_of(const struct table *t, size_t i, bool percpu, size_t words, __u64 **sums)
{
	__u64 *sum;

	if (!percpu)
		return table_value(t, i);
	sum = *sums;
	percpu_sum(table_value(t, i), words, sum);
	*sums += words;
	return sum;
}

static void add_rows(struct who *w, struct tally_rows *r, const struct table *t, bool percpu, __u64 **sums)
{
	for (size_t i = 0; i < t->nr; i++) {
		const void *key = table_key(t, i);
		struct who_label label;

		if (!who_label(w, key, &label))
			continue;
		r->rows[r->nr++] = (struct tally_row){
			.vm = label.vm,
			.container = label.container,
			.key = key,
			.value = value_of(t, i, percpu, r->words, sums),
		};
	}
}

int tally_read(struct who *w, const struct tally *t, struct tally_rows *ret)
{
	bool percpu = tally_is_percpu(t->live);
	__u64 *sums;
	int err;

	*ret = (struct tally_rows){ .words = bpf_map__value_size(t->gone) / sizeof(__u64) };
	err = tally_read_live(t, &ret->live) ?: table_read(t->gone, &ret->gone);
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

void tally_free(struct tally_rows *r)
{
	table_free(&r->live);
	table_free(&r->gone);
	free(r->rows);
	free(r->sums);
	*r = (struct tally_rows){};
}

/* ---- sums ---- */

int tally_by_label(const void *pa, const void *pb)
{
	const struct tally_row *a = pa, *b = pb;
	int diff = strcmp(a->vm, b->vm);

	return diff ? diff : strcmp(a->container, b->container);
}

void tally_for_each_sum(struct tally_rows *r, tally_compare_fn compare, bool (*wanted)(const struct tally_row *row),
			void (*emit)(void *data, const struct tally_row *sum), void *data)
{
	_free_ __u64 *total = calloc(r->words + 1, sizeof(*total));
	struct tally_row sum = {};

	if (!total)
		return;
	qsort(r->rows, r->nr, sizeof(*r->rows), compare);
	for (size_t i = 0; i < r->nr; i++) {
		const struct tally_row *row = &r->rows[i];

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
