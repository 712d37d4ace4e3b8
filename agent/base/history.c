// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/util.h"

#define BUCKETS 256
#define TRACKS_MAX 2560 /* more than there are owners with counters */

/*
 * How busy an owner is: its parts of what all owners together do, of each quantity, added up and averaged over time
 * with this weight of the newest sample. So bytes and I/Os weigh the same, and three minutes ago weighs a third.
 */
#define NEWEST_WEIGHT (1.0 / 36)
/* Who is to take another's place must be so much busier, lest two that are alike take turns and have no past. */
#define TAKEOVER 1.5

/* The samples of one owner; slot i belongs to the sample whose number is i modulo HISTORY_SAMPLES. */
struct ring {
	__u32 latency[HISTORY_SAMPLES][HIST_SLOTS];
	__u64 used; /* number of the last sample in which anything was told */
	float values[][HISTORY_SAMPLES]; /* of each quantity; NAN: not known */
};

/* A quantity of one owner. */
struct reading {
	__u64 was, is; /* a counter in the last sample and in this one */
	double now; /* counters: growth; gauges: value */
	bool counted, counts; /* did the last sample tell the counter, does this one? */
	bool known; /* has it a value now? */
};

struct track {
	char *vm, *container;
	struct ring *ring; /* NULL: not one of the busiest */
	double busy;
	__u64 seen; /* number of the last sample that told of it */
	bool had_latency, has_latency;
	struct hist latency_was, latency_now; /* now: what is told, then what it grew by */
	LIST_ENTRY(track) in_bucket;
	TAILQ_ENTRY(track) entry;
	struct reading readings[]; /* of each quantity */
};

TAILQ_HEAD(track_list, track);

struct history {
	__u64 number; /* of the last sample; the first is 1 */
	__u64 ms[HISTORY_SAMPLES];
	__u64 marks[HISTORY_MARKS], nr_marks; /* mark n is in the slot of n modulo HISTORY_MARKS */
	__u64 began_ms; /* of the first sample: which agent's numbers these are */
	__u64 ns, last_ns;
	unsigned int nr_quantities, nr_tracks, nr_rings;
	struct track *machine;
	struct track_list tracks; /* with the machine */
	LIST_HEAD(, track) buckets[BUCKETS];
	struct quantity {
		const struct history_quantity *is;
		double total; /* growth of all owners in this sample */
	} quantities[];
};

static unsigned int slot_of(__u64 number)
{
	return number % HISTORY_SAMPLES;
}

/* ---- owners ---- */

static unsigned int bucket_of(const char *vm, const char *container)
{
	unsigned int hash = 5381;

	for (const char *s = vm; *s; s++)
		hash = hash * 33 + (unsigned char)*s;
	for (const char *s = container; *s; s++)
		hash = hash * 33 + (unsigned char)*s;
	return hash % BUCKETS;
}

static size_t track_size(const struct history *h)
{
	return sizeof(struct track) + h->nr_quantities * sizeof(struct reading);
}

static size_t ring_size(const struct history *h)
{
	return sizeof(struct ring) + h->nr_quantities * sizeof(float[HISTORY_SAMPLES]);
}

static struct ring *ring_new(const struct history *h)
{
	struct ring *r = calloc(1, ring_size(h));

	for (unsigned int q = 0; r && q < h->nr_quantities; q++)
		for (unsigned int i = 0; i < HISTORY_SAMPLES; i++)
			r->values[q][i] = NAN;
	return r;
}

static void track_free(struct history *h, struct track *t)
{
	if (t->ring && t != h->machine)
		h->nr_rings--;
	LIST_REMOVE(t, in_bucket);
	TAILQ_REMOVE(&h->tracks, t, entry);
	h->nr_tracks--;
	free(t->vm);
	free(t->container);
	free(t->ring);
	free(t);
}

static struct track *track_new(struct history *h, const char *vm, const char *container)
{
	struct track *t = h->nr_tracks < TRACKS_MAX ? calloc(1, track_size(h)) : NULL;

	if (!t)
		return NULL;
	t->vm = strdup(vm);
	t->container = strdup(container);
	LIST_INSERT_HEAD(&h->buckets[bucket_of(vm, container)], t, in_bucket);
	TAILQ_INSERT_TAIL(&h->tracks, t, entry);
	h->nr_tracks++;
	if (t->vm && t->container)
		return t;
	track_free(h, t);
	return NULL;
}

static struct track *track_find(const struct history *h, const char *vm, const char *container)
{
	struct track *t;

	LIST_FOREACH (t, &h->buckets[bucket_of(vm, container)], in_bucket)
		if (!strcmp(t->vm, vm) && !strcmp(t->container, container))
			return t;
	return NULL;
}

/* NULL: there are too many, or no memory. */
static struct track *track_get(struct history *h, const char *vm, const char *container)
{
	struct track *t = track_find(h, vm, container) ?: track_new(h, vm, container);

	if (t)
		t->seen = h->number;
	return t;
}

/* Containers within VMs are a part of what the VM does. */
static bool adds_to_machine(const struct history *h, const struct track *t)
{
	return t != h->machine && (!*t->vm || !*t->container);
}

/* ---- what rooms tell ---- */

/* The owner's reading of the quantity. NULL: it is in no list, or there are too many owners, or no memory. */
static struct reading *reading_get(struct history *h, const char *vm, const char *container, const char *name, bool counter)
{
	for (unsigned int q = 0; q < h->nr_quantities; q++) {
		const struct history_quantity *quantity = h->quantities[q].is;

		if (quantity->counter == counter && !strcmp(quantity->name, name)) {
			struct track *t = track_get(h, vm, container);

			return t ? &t->readings[q] : NULL;
		}
	}
	return NULL;
}

static void add(struct reading *r, double value)
{
	r->now = r->known ? r->now + value : value;
	r->known = true;
}

void history_counter(struct history *h, const char *vm, const char *container, const char *quantity, __u64 value)
{
	struct reading *r = reading_get(h, vm, container, quantity, true);

	if (!r)
		return;
	r->is = r->counts ? r->is + value : value;
	r->counts = true;
}

void history_gauge(struct history *h, const char *vm, const char *container, const char *quantity, double value)
{
	struct reading *r = reading_get(h, vm, container, quantity, false);

	if (r)
		add(r, value);
}

static void hist_grow(struct hist *to, const struct hist *now, const struct hist *was)
{
	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		to->slots[i] += now->slots[i] >= was->slots[i] ? now->slots[i] - was->slots[i] : 0;
}

void history_latency(struct history *h, const char *vm, const char *container, const struct hist *value)
{
	static const struct hist nothing;
	struct track *t = track_get(h, vm, container);

	if (!t)
		return;
	t->has_latency = true;
	hist_grow(&t->latency_now, value, &nothing);
}

/* ---- samples ---- */

void history_begin(struct history *h, __u64 ms, __u64 ns)
{
	struct track *t;

	h->number++;
	h->ms[slot_of(h->number)] = ms;
	if (!h->began_ms)
		h->began_ms = ms;
	h->last_ns = h->ns;
	h->ns = ns;
	for (unsigned int q = 0; q < h->nr_quantities; q++)
		h->quantities[q].total = 0;
	TAILQ_FOREACH (t, &h->tracks, entry) {
		for (unsigned int q = 0; q < h->nr_quantities; q++)
			t->readings[q].known = t->readings[q].counts = false;
		t->has_latency = false;
		memset(&t->latency_now, 0, sizeof(t->latency_now));
	}
	h->machine->seen = h->number;
}

/* Sum of its parts of all that was done. */
static double parts(const struct history *h, const struct track *t)
{
	double sum = 0;

	for (unsigned int q = 0; q < h->nr_quantities; q++)
		if (h->quantities[q].is->counter && t->readings[q].known && h->quantities[q].total > 0)
			sum += t->readings[q].now / h->quantities[q].total;
	return sum;
}

/* The least busy of those with a ring. */
static struct track *least_busy(const struct history *h)
{
	struct track *t, *least = NULL;

	TAILQ_FOREACH (t, &h->tracks, entry)
		if (t->ring && t != h->machine && (!least || t->busy < least->busy))
			least = t;
	return least;
}

static void give_ring(struct history *h, struct track *t)
{
	struct track *least;

	if (h->nr_rings < HISTORY_OWNERS) {
		t->ring = ring_new(h);
		h->nr_rings += t->ring != NULL;
		return;
	}
	least = least_busy(h);
	if (!least || t->busy <= least->busy * TAKEOVER)
		return;
	free(least->ring);
	least->ring = NULL;
	h->nr_rings--;
	give_ring(h, t);
}

static void grow_counters(struct history *h, struct track *t)
{
	for (unsigned int q = 0; q < h->nr_quantities; q++) {
		struct reading *r = &t->readings[q];
		double growth = (double)(r->is - r->was);

		/* What went down was reset. */
		if (r->counted && r->counts && r->is >= r->was) {
			add(r, growth);
			h->quantities[q].total += growth;
			if (adds_to_machine(h, t))
				add(&h->machine->readings[q], growth);
		}
		r->counted = r->counts;
		r->was = r->is;
	}
}

static void grow_latency(struct history *h, struct track *t)
{
	struct hist told = t->latency_now;

	memset(&t->latency_now, 0, sizeof(t->latency_now));
	if (t->has_latency && t->had_latency)
		hist_grow(&t->latency_now, &told, &t->latency_was);
	t->latency_was = told;
	t->had_latency = t->has_latency;
	if (adds_to_machine(h, t))
		for (unsigned int i = 0; i < HIST_SLOTS; i++)
			h->machine->latency_now.slots[i] += t->latency_now.slots[i];
}

static __u32 saturated(__u64 n)
{
	return n > 0xffffffffU ? 0xffffffffU : (__u32)n;
}

static void keep(const struct history *h, struct track *t)
{
	double seconds = (double)(h->ns - h->last_ns) / 1e9;
	unsigned int slot = slot_of(h->number);

	for (unsigned int q = 0; q < h->nr_quantities; q++) {
		double divisor = h->quantities[q].is->counter ? seconds : 1;
		bool told = t->readings[q].known && divisor > 0;

		t->ring->values[q][slot] = told ? (float)(t->readings[q].now / divisor) : NAN;
		if (told)
			t->ring->used = h->number;
	}
	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		t->ring->latency[slot][i] = saturated(t->latency_now.slots[i]);
}

/* Of one that was not told of, and has nothing left that is shown. */
static bool is_over(const struct history *h, const struct track *t)
{
	return t != h->machine && t->seen != h->number && (!t->ring || h->number - t->ring->used >= HISTORY_SAMPLES);
}

void history_end(struct history *h)
{
	struct track *t, *next;

	TAILQ_FOREACH (t, &h->tracks, entry) {
		if (t == h->machine)
			continue;
		grow_counters(h, t);
		grow_latency(h, t);
	}
	for (t = TAILQ_FIRST(&h->tracks); t; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (is_over(h, t)) {
			track_free(h, t);
			continue;
		}
		t->busy += (parts(h, t) - t->busy) * NEWEST_WEIGHT;
	}
	TAILQ_FOREACH (t, &h->tracks, entry) {
		if (!t->ring && t->busy > 0)
			give_ring(h, t);
		if (t->ring)
			keep(h, t);
	}
}

void history_mark(struct history *h, __u64 ms)
{
	h->marks[h->nr_marks++ % HISTORY_MARKS] = ms;
}

/* ---- showing ---- */

static json_t *number_or_null(float value)
{
	if (!isfinite(value))
		return json_null();
	return value == rintf(value) ? json_integer((json_int_t)value) : json_real((double)value);
}

/* NULL: nothing is known of it. */
static json_t *values_json(const struct history *h, const struct ring *r, unsigned int q, __u64 first)
{
	json_t *list = json_array();
	bool any = false;

	for (__u64 n = first; n <= h->number; n++) {
		any |= isfinite(r->values[q][slot_of(n)]);
		json_array_append_new(list, number_or_null(r->values[q][slot_of(n)]));
	}
	if (any)
		return list;
	json_decref(list);
	return NULL;
}

/* Of each sample a list of bucket, count, bucket, count: most are empty. */
static json_t *latency_json(const struct history *h, const struct ring *r, __u64 first)
{
	json_t *list = json_array();

	for (__u64 n = first; n <= h->number; n++) {
		json_t *pairs = json_array();

		for (unsigned int i = 0; i < HIST_SLOTS; i++) {
			if (!r->latency[slot_of(n)][i])
				continue;
			json_array_append_new(pairs, json_integer(i));
			json_array_append_new(pairs, json_integer(r->latency[slot_of(n)][i]));
		}
		json_array_append_new(list, pairs);
	}
	return list;
}

static json_t *owner_json(const struct history *h, const struct track *t, __u64 first)
{
	json_t *values = json_object();

	for (unsigned int q = 0; q < h->nr_quantities; q++)
		json_object_set_new(values, h->quantities[q].is->name, values_json(h, t->ring, q, first));
	return json_pack("{s:o, s:o, s:o, s:o}", "vm", json_text(t->vm), "container", json_text(t->container), "values", values,
			 "latency", latency_json(h, t->ring, first));
}

static json_t *quantities_json(const struct history *h)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < h->nr_quantities; i++) {
		const struct history_quantity *q = h->quantities[i].is;

		json_array_append_new(list, json_pack("{s:s, s:s+, s:s}", "name", q->name, "unit", q->unit,
						      q->counter ? "/s" : "", "doc", q->doc));
	}
	return list;
}

/* Those since @since_ms, the oldest first. */
static json_t *marks_json(const struct history *h, __u64 since_ms)
{
	__u64 kept = h->nr_marks < HISTORY_MARKS ? h->nr_marks : HISTORY_MARKS;
	json_t *list = json_array();

	for (__u64 n = h->nr_marks - kept; n < h->nr_marks; n++)
		if (h->marks[n % HISTORY_MARKS] >= since_ms)
			json_array_append_new(list, json_integer((json_int_t)h->marks[n % HISTORY_MARKS]));
	return list;
}

json_t *history_show(const struct history *h, __u64 after)
{
	__u64 kept = h->number < HISTORY_SAMPLES ? h->number : HISTORY_SAMPLES;
	__u64 first = h->number - kept + 1, oldest_ms = h->ms[slot_of(first)];
	json_t *times = json_array(), *owners = json_array();
	const struct track *t;

	if (after <= h->number && after >= first)
		first = after + 1;
	for (__u64 n = first; n <= h->number; n++)
		json_array_append_new(times, json_integer((json_int_t)h->ms[slot_of(n)]));
	TAILQ_FOREACH (t, &h->tracks, entry)
		if (t->ring && first <= h->number)
			json_array_append_new(owners, owner_json(h, t, first));
	return json_pack("{s:I, s:I, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "began", (json_int_t)h->began_ms, "number",
			 (json_int_t)h->number, "interval_seconds", HISTORY_SECONDS, "window_seconds",
			 HISTORY_SECONDS * HISTORY_SAMPLES, "latency_bounds", HIST_BOUNDS, "quantities", quantities_json(h),
			 "times", times, "policy_changes", marks_json(h, oldest_ms), "owners", owners);
}

size_t history_bytes(const struct history *h)
{
	size_t bytes = sizeof(*h) + h->nr_quantities * sizeof(h->quantities[0]);
	const struct track *t;

	TAILQ_FOREACH (t, &h->tracks, entry)
		bytes += track_size(h) + strlen(t->vm) + strlen(t->container) + 2 + (t->ring ? ring_size(h) : 0);
	return bytes;
}

/* ---- life ---- */

struct history *history_new(const struct history_quantity *const *lists, unsigned int nr)
{
	struct history *h;
	unsigned int all = 0;

	for (unsigned int i = 0; i < nr; i++)
		for (const struct history_quantity *q = lists[i]; q && q->name; q++)
			all++;
	h = calloc(1, sizeof(*h) + all * sizeof(h->quantities[0]));
	if (!h)
		return NULL;
	for (unsigned int i = 0; i < nr; i++)
		for (const struct history_quantity *q = lists[i]; q && q->name; q++)
			h->quantities[h->nr_quantities++].is = q;
	TAILQ_INIT(&h->tracks);
	h->machine = track_new(h, "", "");
	if (h->machine)
		h->machine->ring = ring_new(h);
	if (h->machine && h->machine->ring)
		return h;
	history_free(h);
	return NULL;
}

void history_free(struct history *h)
{
	struct track *t;

	while (h && (t = TAILQ_FIRST(&h->tracks)))
		track_free(h, t);
	free(h);
}
