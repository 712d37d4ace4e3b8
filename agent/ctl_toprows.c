// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl_toprows.h"
#include "agent/promtext.h"
#include "agent/util.h"

const struct top_column top_columns[TOP_KEYS] = {
	[TOP_READS] = { "reads", "R/s", "reads_per_second", TOP_COUNT, 0 },
	[TOP_WRITES] = { "writes", "W/s", "writes_per_second", TOP_COUNT, 1 },
	[TOP_READ_BYTES] = { "rbytes", "RD/s", "read_bytes_per_second", TOP_BYTES, 5 },
	[TOP_WRITE_BYTES] = { "wbytes", "WR/s", "write_bytes_per_second", TOP_BYTES, 6 },
	[TOP_P50] = { "p50", "P50", "p50_seconds", TOP_SECONDS, 8 },
	[TOP_P99] = { "p99", "P99", "p99_seconds", TOP_SECONDS, 2 },
	[TOP_HIT] = { "hit", "HIT%", "hit_ratio", TOP_RATIO, 3 },
	[TOP_EVICTIONS] = { "evictions", "EVICT/s", "evictions_per_second", TOP_COUNT, 9 },
	[TOP_REFAULTS] = { "refaults", "REFLT/s", "refaults_per_second", TOP_COUNT, 12 },
	[TOP_CACHED] = { "cached", "CACHED", "cached_bytes", TOP_BYTES, 13 },
	[TOP_RX] = { "rx", "RX/s", "rx_bytes_per_second", TOP_BYTES, 4 },
	[TOP_TX] = { "tx", "TX/s", "tx_bytes_per_second", TOP_BYTES, 4 },
	[TOP_RX_PACKETS] = { "rxpackets", "RXPKT/s", "rx_packets_per_second", TOP_COUNT, 14 },
	[TOP_TX_PACKETS] = { "txpackets", "TXPKT/s", "tx_packets_per_second", TOP_COUNT, 15 },
	[TOP_RETRANSMITS] = { "retransmits", "RETR/s", "retransmits_per_second", TOP_COUNT, 10 },
	[TOP_MIGRATION] = { "migration", "MIGR/s", "migration_bytes_per_second", TOP_BYTES, 11 },
	[TOP_VM] = { "vm", "VM", "vm", TOP_COUNT, 0 },
	[TOP_CONTAINER] = { "container", "CONTAINER", "container", TOP_COUNT, 0 },
};

int top_find_key(const char *key)
{
	for (int i = 0; i < TOP_KEYS; i++)
		if (!strcmp(top_columns[i].key, key))
			return i;
	return -1;
}

/* ---- readings ---- */

/* What a series counts. */
enum what {
	READ_IOS,
	WRITE_IOS,
	READ_BYTES,
	WRITE_BYTES,
	READ_BUCKET, /* of latency; "+Inf" has them all */
	WRITE_BUCKET,
	HITS,
	MISSES,
	EVICTIONS,
	REFAULTS,
	PAGES,
	RX_BYTES,
	TX_BYTES,
	RX_PACKETS,
	TX_PACKETS,
	RETRANSMITS,
	MIGRATION,
	PRESENT, /* says no more than that its VM or container is there */
	WHATS,
};

/* Migrations are nobody's where the agent knows no more than their kind. */
#define MACHINE "~machine"

enum room { BLKIO, PCACHE, NET, ROOMS };

static const char *const room_names[] = { [BLKIO] = "blkio", [PCACHE] = "pcache", [NET] = "net" };

static const struct {
	const char *name, *label, *value; /* of a series, and a label's value that it must have */
	const char *part; /* label that tells series of one kind apart */
} kinds[WHATS] = {
	[READ_IOS] = { "nestor_blkio_ios_total", "op", "read", "device" },
	[WRITE_IOS] = { "nestor_blkio_ios_total", "op", "write", "device" },
	[READ_BYTES] = { "nestor_blkio_bytes_total", "op", "read", "device" },
	[WRITE_BYTES] = { "nestor_blkio_bytes_total", "op", "write", "device" },
	[READ_BUCKET] = { "nestor_blkio_latency_seconds_bucket", "op", "read", "le" },
	[WRITE_BUCKET] = { "nestor_blkio_latency_seconds_bucket", "op", "write", "le" },
	[HITS] = { "nestor_pcache_hits_total", "", "", "" },
	[MISSES] = { "nestor_pcache_misses_total", "", "", "" },
	[EVICTIONS] = { "nestor_pcache_evictions_total", "", "", "reason" },
	[REFAULTS] = { "nestor_pcache_refaults_total", "", "", "" },
	[PAGES] = { "nestor_pcache_pages", "", "", "" },
	[RX_BYTES] = { "nestor_net_bytes_total", "direction", "rx", "" },
	[TX_BYTES] = { "nestor_net_bytes_total", "direction", "tx", "" },
	[RX_PACKETS] = { "nestor_net_packets_total", "direction", "rx", "" },
	[TX_PACKETS] = { "nestor_net_packets_total", "direction", "tx", "" },
	[RETRANSMITS] = { "nestor_net_retransmits_total", "", "", "" },
	[MIGRATION] = { "nestor_net_migration_bytes_total", "", "", "kind" },
};

struct series {
	const char *vm, *container, *part;
	enum what what;
	double value;
};

struct reading {
	char *text; /* series point into it */
	struct series *series;
	size_t nr, room;
	bool up[ROOMS];
	__u64 ns;
};

struct top {
	struct reading last, now;
	struct top_row *rows; /* all, then those that were asked for */
	size_t nr_rows;
};

static void reading_free(struct reading *r)
{
	free(r->text);
	free(r->series);
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
		diff = (int)a->what - (int)b->what;
	return diff ? diff : strcmp(a->part, b->part);
}

static enum what what_of(const struct prom_sample *sample)
{
	for (unsigned int i = 0; i < PRESENT; i++)
		if (!strcmp(sample->name, kinds[i].name) && !strcmp(prom_label(sample, kinds[i].label), kinds[i].value))
			return i;
	return PRESENT;
}

static int add_series(struct reading *r, const struct prom_sample *sample)
{
	const char *vm = prom_label(sample, "vm"), *container = prom_label(sample, "container");
	enum what what = what_of(sample);

	if (!*vm && !*container && what == MIGRATION)
		container = MACHINE;
	if (!*vm && !*container)
		return 0;
	if (r->nr == r->room) {
		size_t room = r->room ? 2 * r->room : 256;
		struct series *series = reallocarray(r->series, room, sizeof(*series));

		if (!series)
			return -ENOMEM;
		r->series = series;
		r->room = room;
	}
	r->series[r->nr++] = (struct series){
		.vm = vm,
		.container = container,
		.what = what,
		.part = what == PRESENT ? "" : prom_label(sample, kinds[what].part),
		.value = strtod(sample->value, NULL),
	};
	return 0;
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

static int parse(struct reading *r)
{
	struct prom_sample sample;
	char *pos = r->text;
	int err = 0;

	while (!err && prom_next(&pos, &sample)) {
		for (unsigned int i = 0; i < ROOMS; i++)
			if (!strcmp(sample.name, "nestor_room_up") && !strcmp(prom_label(&sample, "room"), room_names[i]))
				r->up[i] = strtod(sample.value, NULL) > 0;
		err = add_series(r, &sample);
	}
	if (r->nr)
		qsort(r->series, r->nr, sizeof(*r->series), by_identity);
	add_up_equals(r);
	return err;
}

/* ---- a row ---- */

#define BUCKETS_MAX 64

/* What the series of one VM or container grew by. */
struct growth {
	double by[WHATS];
	bool unknown[WHATS];
	bool migrates; /* its migrations are told apart from the machine's */
	double pages; /* there are now */
	struct bucket {
		double bound, count; /* count: of this and the lower ones */
	} buckets[2 * BUCKETS_MAX];
	size_t nr_buckets;
};

static bool is_bucket(enum what what)
{
	return what == READ_BUCKET || what == WRITE_BUCKET;
}

static void grow_bucket(struct growth *g, double bound, double by)
{
	if (g->nr_buckets < ARRAY_SIZE(g->buckets))
		g->buckets[g->nr_buckets++] = (struct bucket){ bound, by };
}

/* @last or @now is NULL where the series was not, or is no more. */
static void grow(struct growth *g, const struct series *last, const struct series *now)
{
	const struct series *any = now ? now : last;
	double by = (now ? now->value : 0) - (last ? last->value : 0);

	g->migrates |= any->what == MIGRATION;
	if (any->what == PAGES) {
		g->pages += now ? now->value : 0;
		return;
	}
	if (!now || !(by >= 0)) { /* removed, or reset */
		g->unknown[any->what] = true;
		return;
	}
	if (is_bucket(any->what))
		grow_bucket(g, strtod(any->part, NULL), by);
	if (!is_bucket(any->what) || !strcmp(any->part, "+Inf"))
		g->by[any->what] += by;
}

/* Two sorted lists of the same VM or container. */
static void grow_all(struct growth *g, const struct series *last, size_t nr_last, const struct series *now, size_t nr_now)
{
	while (nr_last || nr_now) {
		int diff = !nr_last ? 1 : !nr_now ? -1 : by_identity(last, now);

		grow(g, diff <= 0 ? last : NULL, diff >= 0 ? now : NULL);
		if (diff <= 0)
			last++, nr_last--;
		if (diff >= 0)
			now++, nr_now--;
	}
}

static int by_bound(const void *pa, const void *pb)
{
	const struct bucket *a = pa, *b = pb;

	return (a->bound > b->bound) - (a->bound < b->bound);
}

/* Upper bound of the bucket that the quantile falls into, the last finite one beyond; reads and writes together. */
static double quantile(struct growth *g, double q)
{
	double total = g->by[READ_BUCKET] + g->by[WRITE_BUCKET], bound = NAN;

	if (!(total > 0) || g->unknown[READ_BUCKET] || g->unknown[WRITE_BUCKET])
		return NAN;
	qsort(g->buckets, g->nr_buckets, sizeof(*g->buckets), by_bound);
	for (size_t i = 0; i < g->nr_buckets && isfinite(g->buckets[i].bound);) {
		double count = 0;

		bound = g->buckets[i].bound;
		for (; i < g->nr_buckets && g->buckets[i].bound <= bound; i++)
			count += g->buckets[i].count;
		if (count >= q * total)
			break;
	}
	return bound;
}

static double rate(const struct growth *g, enum what what, double seconds)
{
	return g->unknown[what] ? NAN : g->by[what] / seconds;
}

/*
 * Bytes are counted at every layer of stacked devices (dm, md), a container's latencies at the top one alone: as many
 * bytes as its I/Os there had, at the mean size of all.
 */
static double byte_rate(const struct growth *g, enum what bytes, enum what ios, enum what bucket, double seconds)
{
	if (g->unknown[ios] || g->unknown[bucket])
		return NAN;
	return g->by[ios] > 0 ? rate(g, bytes, seconds) * g->by[bucket] / g->by[ios] : rate(g, bytes, seconds);
}

static void set_rates(double *values, struct growth *g, double seconds)
{
	double accesses = g->by[HITS] + g->by[MISSES];

	values[TOP_READS] = rate(g, READ_BUCKET, seconds);
	values[TOP_WRITES] = rate(g, WRITE_BUCKET, seconds);
	values[TOP_READ_BYTES] = byte_rate(g, READ_BYTES, READ_IOS, READ_BUCKET, seconds);
	values[TOP_WRITE_BYTES] = byte_rate(g, WRITE_BYTES, WRITE_IOS, WRITE_BUCKET, seconds);
	values[TOP_P50] = quantile(g, 0.5);
	values[TOP_P99] = quantile(g, 0.99);
	if (accesses > 0 && !g->unknown[HITS] && !g->unknown[MISSES])
		values[TOP_HIT] = g->by[HITS] / accesses;
	values[TOP_EVICTIONS] = rate(g, EVICTIONS, seconds);
	values[TOP_REFAULTS] = rate(g, REFAULTS, seconds);
	values[TOP_RX] = rate(g, RX_BYTES, seconds);
	values[TOP_TX] = rate(g, TX_BYTES, seconds);
	values[TOP_RX_PACKETS] = rate(g, RX_PACKETS, seconds);
	values[TOP_TX_PACKETS] = rate(g, TX_PACKETS, seconds);
	values[TOP_RETRANSMITS] = rate(g, RETRANSMITS, seconds);
	values[TOP_MIGRATION] = g->migrates ? rate(g, MIGRATION, seconds) : NAN;
}

static enum room room_of(enum top_value value)
{
	return value < TOP_HIT ? BLKIO : value < TOP_RX ? PCACHE : NET;
}

/* A room that is off, or was at the reading before, has counted nothing: that is not 0. */
static void forget_uncounted(const struct top *t, const char *container, double *values)
{
	bool machine = !strcmp(container, MACHINE);

	for (int i = 0; i < TOP_VALUES; i++) {
		enum room room = room_of(i);

		if ((machine && i != TOP_MIGRATION) || !t->now.up[room] || (i != TOP_CACHED && !t->last.up[room]))
			values[i] = NAN;
	}
}

/* ---- rows ---- */

static size_t same_row(const struct series *s, size_t nr)
{
	size_t n = 0;

	while (n < nr && !by_row(s, s + n))
		n++;
	return n;
}

/* Who was not there at the reading before may bring counts from before that: it has no rates yet. */
static void make_row(struct top *t, const struct series *last, size_t nr_last, const struct series *now, size_t nr_now)
{
	struct top_row *row = &t->rows[t->nr_rows++];
	struct growth g = {};

	*row = (struct top_row){ .vm = now->vm, .container = now->container };
	for (int i = 0; i < TOP_VALUES; i++)
		row->values[i] = NAN;
	grow_all(&g, last, nr_last, now, nr_now);
	if (nr_last && t->now.ns > t->last.ns)
		set_rates(row->values, &g, top_seconds(t));
	row->values[TOP_CACHED] = g.pages * (double)sysconf(_SC_PAGESIZE);
	forget_uncounted(t, row->container, row->values);
}

static int make_rows(struct top *t)
{
	const struct series *last = t->last.series, *last_end = last ? last + t->last.nr : NULL;
	size_t nr_last, nr_now;

	free(t->rows);
	t->nr_rows = 0;
	t->rows = calloc(2 * t->now.nr + 1, sizeof(*t->rows));
	if (!t->rows)
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

struct top *top_new(void)
{
	return calloc(1, sizeof(struct top));
}

void top_free(struct top *t)
{
	if (!t)
		return;
	reading_free(&t->last);
	reading_free(&t->now);
	free(t->rows);
	free(t);
}

int top_read(struct top *t, char *text, __u64 ns)
{
	int err;

	reading_free(&t->last);
	t->last = t->now;
	t->now = (struct reading){ .text = text, .ns = ns };
	err = parse(&t->now);
	return err ? err : make_rows(t);
}

double top_seconds(const struct top *t)
{
	return t->last.text ? (double)(t->now.ns - t->last.ns) / 1e9 : 0;
}

/* ---- order ---- */

static int by_names(const struct top_row *a, const struct top_row *b, enum top_value first)
{
	int vm = strcmp(a->vm, b->vm), container = strcmp(a->container, b->container);

	return first == TOP_CONTAINER && container ? container : vm ? vm : container;
}

static int by_order(const void *pa, const void *pb, void *data)
{
	const struct top_row *a = pa, *b = pb;
	const struct top_order *order = data;
	int sign = order->reverse ? -1 : 1;
	double x, y;

	if (order->key >= TOP_VALUES)
		return sign * by_names(a, b, order->key);
	x = a->values[order->key];
	y = b->values[order->key];
	if (isnan(x) != isnan(y))
		return isnan(x) ? 1 : -1;
	if (x < y || x > y)
		return x < y ? sign : -sign;
	return by_names(a, b, TOP_VM);
}

static bool matches(const char *filter, const char *name)
{
	return strpbrk(filter, "*?[") ? !fnmatch(filter, name, 0) : strstr(name, filter) != NULL;
}

const struct top_row *top_rows(struct top *t, const struct top_order *order, size_t *ret_nr, size_t *ret_total)
{
	struct top_row *chosen = t->rows + t->nr_rows; /* room for all of them again */
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_rows; i++)
		if (matches(order->filter, t->rows[i].vm) || matches(order->filter, t->rows[i].container))
			chosen[nr++] = t->rows[i];
	if (nr)
		qsort_r(chosen, nr, sizeof(*chosen), by_order, (void *)order);
	*ret_nr = nr;
	*ret_total = t->nr_rows;
	return chosen;
}
