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
	MEMORY_PAGES,
	SSD_PAGES,
	MEMORY_SHARE,
	SSD_SHARE,
	GETS,
	MEMORY_HITS,
	SSD_HITS,
	MEMORY_PUTS,
	SSD_PUTS,
	MEMORY_EVICTIONS,
	SSD_EVICTIONS,
	DEMOTIONS,
	DROPS,
	PRESENT, /* says no more than that its VM or container is there */
	WHATS,
};

/* Migrations are nobody's where the agent knows no more than their kind. */
#define MACHINE "~machine"

static const char *const room_names[TOP_ROOMS] = {
	[TOP_ROOM_BLKIO] = "blkio",
	[TOP_ROOM_PCACHE] = "pcache",
	[TOP_ROOM_NET] = "net",
	[TOP_ROOM_CACHE] = "cache",
};

static const struct {
	const char *name, *label, *value; /* of a series, and a label's value that it must have */
	const char *part; /* label that tells series of one kind apart */
	bool gauge;
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
	[PAGES] = { "nestor_pcache_pages", "", "", "", true },
	[RX_BYTES] = { "nestor_net_bytes_total", "direction", "rx", "" },
	[TX_BYTES] = { "nestor_net_bytes_total", "direction", "tx", "" },
	[RX_PACKETS] = { "nestor_net_packets_total", "direction", "rx", "" },
	[TX_PACKETS] = { "nestor_net_packets_total", "direction", "tx", "" },
	[RETRANSMITS] = { "nestor_net_retransmits_total", "", "", "" },
	[MIGRATION] = { "nestor_net_migration_bytes_total", "", "", "kind" },
	[MEMORY_PAGES] = { "nestor_cache_pages", "store", "memory", "", true },
	[SSD_PAGES] = { "nestor_cache_pages", "store", "ssd", "", true },
	[MEMORY_SHARE] = { "nestor_cache_entitlement_pages", "store", "memory", "", true },
	[SSD_SHARE] = { "nestor_cache_entitlement_pages", "store", "ssd", "", true },
	[GETS] = { "nestor_cache_gets_total", "", "", "" },
	[MEMORY_HITS] = { "nestor_cache_hits_total", "store", "memory", "" },
	[SSD_HITS] = { "nestor_cache_hits_total", "store", "ssd", "" },
	[MEMORY_PUTS] = { "nestor_cache_puts_total", "store", "memory", "" },
	[SSD_PUTS] = { "nestor_cache_puts_total", "store", "ssd", "" },
	[MEMORY_EVICTIONS] = { "nestor_cache_evictions_total", "store", "memory", "" },
	[SSD_EVICTIONS] = { "nestor_cache_evictions_total", "store", "ssd", "" },
	[DEMOTIONS] = { "nestor_cache_demotions_total", "", "", "" },
	[DROPS] = { "nestor_cache_drops_total", "", "", "reason" },
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
	bool up[TOP_ROOMS];
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
		for (unsigned int i = 0; i < TOP_ROOMS; i++)
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

/* What the series of one VM or container grew by; of gauges, what they are now. */
struct growth {
	double by[WHATS];
	bool unknown[WHATS];
	bool seen[WHATS]; /* there are such series */
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

	g->seen[any->what] = true;
	if (kinds[any->what].gauge) {
		g->by[any->what] += now ? now->value : 0;
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
	/* Of who has none of his own they are told of the machine, if at all. */
	values[TOP_MIGRATION] = g->seen[MIGRATION] ? rate(g, MIGRATION, seconds) : NAN;
}

static void set_cache_rates(double *values, const struct growth *g, double seconds)
{
	static const struct {
		enum top_value value;
		enum what what;
	} rates[] = {
		{ TOP_GETS, GETS },
		{ TOP_MEMORY_PUTS, MEMORY_PUTS },
		{ TOP_SSD_PUTS, SSD_PUTS },
		{ TOP_MEMORY_EVICTIONS, MEMORY_EVICTIONS },
		{ TOP_SSD_EVICTIONS, SSD_EVICTIONS },
		{ TOP_DEMOTIONS, DEMOTIONS },
		{ TOP_DROPS, DROPS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		values[rates[i].value] = rate(g, rates[i].what, seconds);
	if (!(g->by[GETS] > 0) || g->unknown[GETS] || g->unknown[MEMORY_HITS] || g->unknown[SSD_HITS])
		return;
	values[TOP_MEMORY_HIT] = g->by[MEMORY_HITS] / g->by[GETS];
	values[TOP_SSD_HIT] = g->by[SSD_HITS] / g->by[GETS];
	values[TOP_GET_HIT] = values[TOP_MEMORY_HIT] + values[TOP_SSD_HIT];
}

static void set_gauges(double *values, const struct growth *g)
{
	double page = (double)sysconf(_SC_PAGESIZE);

	values[TOP_CACHED] = g->by[PAGES] * page;
	values[TOP_MEMORY] = g->by[MEMORY_PAGES] * page;
	values[TOP_MEMORY_SHARE] = g->by[MEMORY_SHARE] * page;
	values[TOP_SSD] = g->by[SSD_PAGES] * page;
	values[TOP_SSD_SHARE] = g->by[SSD_SHARE] * page;
}

/* A room that is off, or was at the reading before, has counted nothing: that is not 0. */
static void forget_uncounted(const struct top *t, const char *container, double *values)
{
	bool machine = !strcmp(container, MACHINE);

	for (int i = 0; i < TOP_VALUES; i++) {
		enum top_room room = top_columns[i].room;

		if ((machine && i != TOP_MIGRATION) || !t->now.up[room] || (!top_columns[i].gauge && !t->last.up[room]))
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
	row->has_pool = g.seen[MEMORY_PAGES];
	if (nr_last && t->now.ns > t->last.ns) {
		set_rates(row->values, &g, top_seconds(t));
		set_cache_rates(row->values, &g, top_seconds(t));
	}
	set_gauges(row->values, &g);
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
	size_t nr = 0, total = t->nr_rows;

	for (size_t i = 0; i < t->nr_rows; i++)
		if (order->table == TOP_CACHE && !t->rows[i].has_pool)
			total--;
		else if (matches(order->filter, t->rows[i].vm) || matches(order->filter, t->rows[i].container))
			chosen[nr++] = t->rows[i];
	if (nr)
		qsort_r(chosen, nr, sizeof(*chosen), by_order, (void *)order);
	*ret_nr = nr;
	*ret_total = total;
	return chosen;
}
