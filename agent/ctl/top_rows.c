// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/top_rows.h"
#include "agent/lib/prom_parse.h"
#include "agent/lib/util.h"

/* Where the agent knows no more of something than that it happened. */
#define MACHINE "~machine"

/* ---- readings ---- */

struct series {
	const char *vm, *container, *part;
	int kind; /* in top.kinds; nr_kinds: says no more than that its VM or container is there */
	double value;
};

struct reading {
	char *text; /* series point into it */
	struct series *series;
	size_t nr, size;
	bool *up; /* for each column: its room is */
	__u64 ns;
};

/* Series that a column is computed from; columns may share some. */
struct kind {
	struct top_series of;
	bool is_gauge, is_bucket, is_machine;
};

/* What the series of one kind grew by, of one VM or container; of gauges, what they are now. */
struct growth {
	double by;
	bool unknown;
	bool seen; /* there are such series */
};

struct bucket {
	int kind;
	double bound, count; /* count: of this and the lower ones */
};

struct column {
	int series, of[2]; /* in top.kinds; -1: none */
};

struct top {
	const struct top_table *table;
	struct column *columns;
	struct kind *kinds;
	int nr_kinds;
	struct reading last, now;
	struct top_row *rows; /* all, then those that were asked for */
	double *values; /* of the rows */
	size_t nr_rows;
	struct growth *growth; /* of the row that is being made */
	struct bucket *buckets;
	size_t nr_buckets;
};

static void reading_free(struct reading *r)
{
	free(r->text);
	free(r->series);
	free(r->up);
	*r = (struct reading){};
}

static int by_row(const struct series *a, const struct series *b)
{
	int diff = strcmp(a->vm, b->vm);

	return diff ? diff : strcmp(a->container, b->container);
}

static int by_identity(const void *pa, const void *pb)
{
	const struct series *a = pa, *b = pb;
	int diff = by_row(a, b);

	if (!diff)
		diff = a->kind - b->kind;
	return diff ? diff : strcmp(a->part, b->part);
}

static bool is_of(const struct prom_sample *sample, const struct top_series *series)
{
	return !strcmp(sample->name, series->metric) &&
	       (!series->label || !strcmp(prom_label(sample, series->label), series->value));
}

static int add(struct reading *r, const struct series *s)
{
	if (r->nr == r->size) {
		size_t size = r->size ? 2 * r->size : 256;
		struct series *series = reallocarray(r->series, size, sizeof(*series));

		if (!series)
			return -ENOMEM;
		r->series = series;
		r->size = size;
	}
	r->series[r->nr++] = *s;
	return 0;
}

/* A sample may be of several kinds: its own, and one that adds up all. */
static int add_sample(const struct top *t, struct reading *r, const struct prom_sample *sample)
{
	struct series s = { prom_label(sample, "vm"), prom_label(sample, "container"), "", t->nr_kinds,
			    strtod(sample->value, NULL) };
	bool whole = !*s.vm && !*s.container, found = false;
	int err = 0;

	for (int i = 0; i < t->nr_kinds && !err; i++) {
		const struct kind *kind = &t->kinds[i];
		struct series one = s;

		if ((whole && !kind->is_machine) || !is_of(sample, &kind->of))
			continue;
		found = true;
		one.kind = i;
		one.container = whole ? MACHINE : s.container;
		one.part = kind->of.part ? prom_label(sample, kind->of.part) : "";
		err = add(r, &one);
	}
	return err || found || whole ? err : add(r, &s);
}

/* Series that differ in labels that do not matter here are one. */
static void add_up_equals(struct reading *r)
{
	size_t nr = 0;

	for (size_t i = 0; i < r->nr; i++) {
		if (nr && !by_identity(&r->series[nr - 1], &r->series[i]))
			r->series[nr - 1].value += r->series[i].value;
		else
			r->series[nr++] = r->series[i];
	}
	r->nr = nr;
}

static int parse(const struct top *t, struct reading *r)
{
	struct prom_sample sample;
	char *pos = r->text;
	int err = 0;

	r->up = calloc((size_t)t->table->nr + 1, sizeof(*r->up));
	if (!r->up)
		return -ENOMEM;
	while (!err && prom_next(&pos, &sample)) {
		for (int i = 0; i < t->table->nr && !strcmp(sample.name, "nestor_room_up"); i++)
			if (!strcmp(prom_label(&sample, "room"), t->table->columns[i].room))
				r->up[i] = strtod(sample.value, NULL) > 0;
		err = add_sample(t, r, &sample);
	}
	if (r->nr)
		qsort(r->series, r->nr, sizeof(*r->series), by_identity);
	add_up_equals(r);
	return err;
}

/* ---- what a row's series grew by ---- */

/* @last or @now is NULL where the series was not, or is no more. */
static void grow(struct top *t, const struct series *last, const struct series *now)
{
	const struct series *any = now ? now : last;
	const struct kind *kind = &t->kinds[any->kind];
	struct growth *g = &t->growth[any->kind];
	double by = (now ? now->value : 0) - (last ? last->value : 0);

	g->seen = true;
	if (kind->is_gauge)
		g->by += now ? now->value : 0;
	else if (!now || !(by >= 0)) /* removed, or reset */
		g->unknown = true;
	else if (kind->is_bucket)
		t->buckets[t->nr_buckets++] = (struct bucket){ any->kind, strtod(any->part, NULL), by };
	else
		g->by += by;
}

/* Two sorted lists of the same VM or container. */
static void grow_all(struct top *t, const struct series *last, size_t nr_last, const struct series *now, size_t nr_now)
{
	memset(t->growth, 0, ((size_t)t->nr_kinds + 1) * sizeof(*t->growth));
	t->nr_buckets = 0;
	while (nr_last || nr_now) {
		int diff = !nr_last ? 1 : !nr_now ? -1 : by_identity(last, now);

		if ((diff <= 0 ? last : now)->kind < t->nr_kinds)
			grow(t, diff <= 0 ? last : NULL, diff >= 0 ? now : NULL);
		if (diff <= 0)
			last++, nr_last--;
		if (diff >= 0)
			now++, nr_now--;
	}
}

/* ---- a number ---- */

static int by_bound(const void *pa, const void *pb)
{
	const struct bucket *a = pa, *b = pb;

	return a->kind != b->kind ? a->kind - b->kind : (a->bound > b->bound) - (a->bound < b->bound);
}

/* Upper bound of the bucket that the quantile falls into, the last finite one beyond. */
static double quantile(const struct top *t, int kind, double q)
{
	double total = 0, bound = NAN;

	for (size_t i = 0; i < t->nr_buckets; i++)
		if (t->buckets[i].kind == kind && isinf(t->buckets[i].bound))
			total = t->buckets[i].count;
	if (!(total > 0) || t->growth[kind].unknown)
		return NAN;
	qsort(t->buckets, t->nr_buckets, sizeof(*t->buckets), by_bound);
	for (size_t i = 0; i < t->nr_buckets; i++) {
		const struct bucket *b = &t->buckets[i];

		if (b->kind != kind || !isfinite(b->bound))
			continue;
		bound = b->bound;
		if (b->count >= q * total)
			break;
	}
	return bound;
}

/* The growth of all @kinds; NAN if that of one is not known. */
static double sum(const struct top *t, const int *kinds, size_t nr)
{
	double all = 0;

	for (size_t i = 0; i < nr; i++)
		if (kinds[i] >= 0)
			all += t->growth[kinds[i]].unknown ? NAN : t->growth[kinds[i]].by;
	return all;
}

static double rate(const struct top *t, const struct column *c)
{
	double by = sum(t, &c->series, 1) / top_seconds(t), of;

	if (c->of[0] < 0)
		return by;
	of = sum(t, &c->of[1], 1);
	return isnan(of) ? NAN : of > 0 ? by * sum(t, &c->of[0], 1) / of : by;
}

static double part(const struct top *t, const struct column *c)
{
	double of = sum(t, c->of, ARRAY_SIZE(c->of));

	return of > 0 ? sum(t, &c->series, 1) / of : NAN;
}

static bool is_gauge(const struct top_column *column)
{
	return column->how == TOP_NOW || column->how == TOP_NOW_PAGES;
}

/*
 * A room that is off, or was at the reading before, has counted nothing: that is not 0. Who was not there at that reading
 * may bring counts from before it.
 */
static double value(struct top *t, int i, bool is_new, bool is_machine)
{
	const struct top_column *column = &t->table->columns[i];
	const struct column *c = &t->columns[i];

	if (!t->now.up[i] || (is_machine && !column->is_machine) || (column->is_machine && !t->growth[c->series].seen))
		return NAN;
	if (is_gauge(column))
		return sum(t, &c->series, 1) * (column->how == TOP_NOW ? 1 : (double)sysconf(_SC_PAGESIZE));
	if (is_new || !t->last.up[i] || t->now.ns <= t->last.ns)
		return NAN;
	if (column->how == TOP_QUANTILE)
		return quantile(t, c->series, column->quantile);
	return column->how == TOP_PART ? part(t, c) : rate(t, c);
}

/* ---- rows ---- */

static size_t same_row(const struct series *s, size_t nr)
{
	size_t n = 0;

	while (n < nr && !by_row(s, s + n))
		n++;
	return n;
}

static void make_row(struct top *t, const struct series *last, size_t nr_last, const struct series *now, size_t nr_now)
{
	struct top_row *row = &t->rows[t->nr_rows];

	*row = (struct top_row){ now->vm, now->container, true, t->values + t->nr_rows * (size_t)t->table->nr };
	t->nr_rows++;
	grow_all(t, last, nr_last, now, nr_now);
	for (int i = 0; i < t->table->nr; i++) {
		row->values[i] = value(t, i, !nr_last, !strcmp(row->container, MACHINE));
		if (t->table->columns[i].is_needed && !t->growth[t->columns[i].series].seen)
			row->is_shown = false;
	}
}

static size_t count_rows(const struct reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nr; i += same_row(&r->series[i], r->nr - i))
		n++;
	return n;
}

static void rows_free(struct top *t)
{
	free(t->rows);
	free(t->values);
	free(t->buckets);
	t->rows = NULL;
	t->values = NULL;
	t->buckets = NULL;
	t->nr_rows = 0;
}

static int make_rows(struct top *t)
{
	const struct series *last = t->last.series, *last_end = last ? last + t->last.nr : NULL;
	size_t nr_last, nr_now, nr = count_rows(&t->now);

	rows_free(t);
	t->rows = calloc(2 * nr + 1, sizeof(*t->rows));
	t->values = calloc(nr * (size_t)t->table->nr + 1, sizeof(*t->values));
	t->buckets = calloc(t->now.nr + 1, sizeof(*t->buckets));
	if (!t->rows || !t->values || !t->buckets)
		return -ENOMEM;
	for (size_t i = 0; i < t->now.nr; i += nr_now) {
		const struct series *now = &t->now.series[i];

		nr_now = same_row(now, t->now.nr - i);
		while (last < last_end && by_row(last, now) < 0)
			last++;
		nr_last = last < last_end && !by_row(last, now) ? same_row(last, (size_t)(last_end - last)) : 0;
		make_row(t, last, nr_last, now, nr_now);
	}
	return 0;
}

/* ---- kinds of series, from the columns ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_series(const struct top_series *a, const struct top_series *b)
{
	return same_text(a->metric, b->metric) && same_text(a->label, b->label) && same_text(a->value, b->value) &&
	       same_text(a->part, b->part);
}

/* Its number, -1 if there is none. A series that is read as a bucket by one column and as a counter by another is two. */
static int add_kind(struct top *t, const struct top_series *series, const struct top_column *column)
{
	struct kind kind = { *series, is_gauge(column), column->how == TOP_QUANTILE, column->is_machine };
	int i = 0;

	if (!series->metric)
		return -1;
	while (i < t->nr_kinds && (!same_series(&t->kinds[i].of, series) || t->kinds[i].is_gauge != kind.is_gauge ||
				   t->kinds[i].is_bucket != kind.is_bucket || t->kinds[i].is_machine != kind.is_machine))
		i++;
	if (i == t->nr_kinds)
		t->kinds[t->nr_kinds++] = kind;
	return i;
}

struct top *top_new(const struct top_table *table)
{
	struct top *t = calloc(1, sizeof(*t));
	size_t nr = (size_t)table->nr;

	if (!t)
		return NULL;
	t->table = table;
	t->columns = calloc(nr + 1, sizeof(*t->columns));
	t->kinds = calloc(3 * nr + 1, sizeof(*t->kinds));
	t->growth = calloc(3 * nr + 1, sizeof(*t->growth));
	if (!t->columns || !t->kinds || !t->growth) {
		top_free(t);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct top_column *column = &table->columns[i];

		t->columns[i].series = add_kind(t, &column->series, column);
		for (size_t of = 0; of < ARRAY_SIZE(column->of); of++)
			t->columns[i].of[of] = add_kind(t, &column->of[of], column);
	}
	return t;
}

void top_free(struct top *t)
{
	if (!t)
		return;
	reading_free(&t->last);
	reading_free(&t->now);
	rows_free(t);
	free(t->columns);
	free(t->kinds);
	free(t->growth);
	free(t);
}

int top_read(struct top *t, char *text, __u64 ns)
{
	int err;

	reading_free(&t->last);
	t->last = t->now;
	t->now = (struct reading){ .text = text, .ns = ns };
	err = parse(t, &t->now);
	return err ? err : make_rows(t);
}

double top_seconds(const struct top *t)
{
	return t->last.text ? (double)(t->now.ns - t->last.ns) / 1e9 : 0;
}

/* ---- order ---- */

struct sorting {
	const struct top_table *table;
	const struct top_order *order;
};

static int by_names(const struct top_row *a, const struct top_row *b, bool containers_first)
{
	int vm = strcmp(a->vm, b->vm), container = strcmp(a->container, b->container);

	return containers_first && container ? container : vm ? vm : container;
}

static int by_order(const void *pa, const void *pb, void *data)
{
	const struct top_row *a = pa, *b = pb;
	const struct sorting *s = data;
	int sign = s->order->reverse ? -1 : 1, key = s->order->key;
	double x, y;

	if (key >= s->table->nr)
		return sign * by_names(a, b, key == top_container(s->table));
	x = a->values[key];
	y = b->values[key];
	if (isnan(x) != isnan(y))
		return isnan(x) ? 1 : -1;
	if (x < y || x > y)
		return x < y ? sign : -sign;
	return by_names(a, b, false);
}

static bool matches(const char *filter, const char *name)
{
	return strpbrk(filter, "*?[") ? !fnmatch(filter, name, 0) : strstr(name, filter) != NULL;
}

const struct top_row *top_rows(struct top *t, const struct top_order *order, size_t *ret_nr, size_t *ret_total)
{
	struct top_row *chosen = t->rows + t->nr_rows; /* room for all of them again */
	struct sorting sorting = { t->table, order };
	size_t nr = 0, total = t->nr_rows;

	for (size_t i = 0; i < t->nr_rows; i++)
		if (!t->rows[i].is_shown)
			total--;
		else if (matches(order->filter, t->rows[i].vm) || matches(order->filter, t->rows[i].container))
			chosen[nr++] = t->rows[i];
	if (nr)
		qsort_r(chosen, nr, sizeof(*chosen), by_order, &sorting);
	*ret_nr = nr;
	*ret_total = total;
	return chosen;
}
