// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/sched/simulate.h"

const char *const simulate_trace_kind_names[TRACE_KINDS] = {
	[TRACE_POISSON] = "poisson",
	[TRACE_BURSTY] = "bursty",
	[TRACE_FUNCTIONS] = "functions",
};

/* ---- traces ---- */

#define SMALLEST 0.005 /* s */
#define LARGEST 0.2
#define MEDIAN 0.02 /* of the functions, log-normal */
#define SIGMA 1.2
#define BURST 0.1 /* of the time, in which there are */
#define BURST_PART 0.9 /* of the arrivals */
#define BURST_TASKS 30
#define TIGHTEST 1.5 /* deadlines: times the work */
#define LOOSEST 5.0

/* Above 0, below 1; xorshift64*, of Vigna */
static double uniform(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)((*state * 0x2545f4914f6cdd1d >> 12) + 1) / 4503599627370498.0;
}

static double exponential(uint64_t *state, double mean)
{
	return -log(uniform(state)) * mean;
}

/* Box and Muller */
static double normal(uint64_t *state)
{
	return sqrt(-2 * log(uniform(state))) * cos(2 * M_PI * uniform(state));
}

static double size_of(enum trace_kind kind, uint64_t *state)
{
	if (kind == TRACE_FUNCTIONS)
		return MEDIAN * exp(SIGMA * normal(state));
	return SMALLEST * pow(LARGEST / SMALLEST, uniform(state));
}

static double mean_size(enum trace_kind kind)
{
	return kind == TRACE_FUNCTIONS ? MEDIAN * exp(SIGMA * SIGMA / 2) : (LARGEST - SMALLEST) / log(LARGEST / SMALLEST);
}

/* Until the next one, which may be of a burst as this one, or not */
static double gap(enum trace_kind kind, double mean, bool *burst, uint64_t *state)
{
	if (kind == TRACE_POISSON)
		return exponential(state, mean);
	if (*burst) {
		*burst = uniform(state) > 1.0 / BURST_TASKS;
		return exponential(state, mean * BURST / BURST_PART);
	}
	*burst = uniform(state) < BURST_PART / (1 - BURST_PART) / BURST_TASKS;
	return exponential(state, mean * (1 - BURST) / (1 - BURST_PART));
}

int simulate_trace_generate(enum trace_kind kind, size_t n, double load, uint64_t seed, struct trace *ret)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
	bool burst = false;
	double now = 0;

	*ret = (struct trace){ .tasks = calloc(n, sizeof(*ret->tasks)), .n = n };
	if (!ret->tasks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct sched_task *t = &ret->tasks[i];

		now += gap(kind, mean_size(kind) / load, &burst, &state);
		t->arrival = now;
		t->work = size_of(kind, &state);
		t->deadline = now + t->work * (TIGHTEST + uniform(&state) * (LOOSEST - TIGHTEST));
	}
	return 0;
}

void simulate_trace_free(struct trace *t)
{
	free(t->tasks);
	t->tasks = NULL;
}

/* ---- a device that others use, too ---- */

static double capacity_at(const struct simulate_device *d, double now, double *ret_until)
{
	double third = d->period / 3, nth;

	*ret_until = INFINITY;
	if (d->period <= 0)
		return 1;
	nth = floor(now / third + 1e-9);
	*ret_until = (nth + 1) * third;
	return d->capacity[(uint64_t)nth % 3];
}

/* When @work is done that begins at @now */
static double run_until(const struct simulate_device *d, double now, double work)
{
	while (work > 0) {
		double until, c = capacity_at(d, now, &until);

		if (now + work / c <= until)
			return now + work / c;
		work -= (until - now) * c;
		now = until;
	}
	return now;
}

static double end_slice(const struct simulate_device *d, double now, double work)
{
	return run_until(d, now + d->overhead, work);
}

/* ---- a run ---- */

static void count_dropped(struct sched *s, struct simulate_result *r)
{
	struct sched_task *t;

	while ((t = sched_dropped(s))) {
		r->dropped++;
		r->wasted += t->done;
	}
}

static void count_done(const struct sched_task *t, double now, struct simulate_result *r)
{
	if (now <= t->deadline) {
		r->in_time++;
		return;
	}
	r->late++;
	r->wasted += t->done;
	r->lateness += now - t->deadline;
}

static int add_arrived(struct sched *s, const struct trace *t, size_t *next, double now)
{
	int err = 0;

	while (*next < t->n && t->tasks[*next].arrival <= now && !err)
		err = sched_add(s, &t->tasks[(*next)++]);
	return err;
}

static int run(struct sched *s, const struct trace *t, const struct simulate_device *d, struct simulate_result *r)
{
	struct sched_slice slice;
	size_t next = 0;
	double now = 0;

	for (;;) {
		double began = now;
		bool has_work;

		if (add_arrived(s, t, &next, now))
			return -ENOMEM;
		has_work = sched_next(s, now, &slice);
		count_dropped(s, r);
		if (!has_work && next == t->n)
			return 0;
		if (!has_work) {
			now = t->tasks[next].arrival;
			continue;
		}
		now = end_slice(d, now, slice.work);
		r->slices++;
		r->busy += slice.work;
		if (add_arrived(s, t, &next, now))
			return -ENOMEM;
		if (sched_done(s, &slice, now - began))
			count_done(slice.task, now, r);
	}
}

int simulate_run(const struct trace *t, const struct simulate_device *d, enum sched_rule rule, double fixed,
		 struct simulate_result *ret)
{
	struct trace copy = { .tasks = malloc((t->n ?: 1) * sizeof(*copy.tasks)), .n = t->n };
	struct sched *s = sched_new(rule, d->overhead, fixed);
	int err = -ENOMEM;

	*ret = (struct simulate_result){ 0 };
	if (copy.tasks && s) {
		memcpy(copy.tasks, t->tasks, t->n * sizeof(*copy.tasks));
		err = run(s, &copy, d, ret);
	}
	sched_free(s);
	free(copy.tasks);
	return err;
}

/* ---- the bound ---- */

/* Of those from @first to @next that have something left, by @now. @t->n: none. */
static size_t earliest_deadline(const struct trace *t, const double *left, size_t first, size_t next, double now)
{
	size_t best = t->n;

	for (size_t i = first; i < next; i++)
		if (left[i] > 0 && t->tasks[i].deadline > now &&
		    (best == t->n || t->tasks[i].deadline < t->tasks[best].deadline))
			best = i;
	return best;
}

/* What is done of @left from *@now until @until, if it is not done before; *@now moves on. */
static double do_until(const struct simulate_device *d, double *now, double until, double *left)
{
	double before = *left;

	if (run_until(d, *now, *left) <= until) {
		*now = run_until(d, *now, *left);
		*left = 0;
		return before;
	}
	while (*now < until) {
		double end, c = capacity_at(d, *now, &end);

		end = fmin(end, until);
		*left -= (end - *now) * c;
		*now = end;
	}
	return before - *left;
}

/* A launch is time in which no work is done, at least as much as the device does when it is slowest. */
static double size_with_launch(const struct sched_task *t, const struct simulate_device *d)
{
	double slowest = d->period > 0 ? fmin(d->capacity[0], fmin(d->capacity[1], d->capacity[2])) : 1;

	return t->work + d->overhead * slowest;
}

/* Work that can be done of @chosen of @t, which are by arrival: always that with the earliest deadline. */
static double most_work(const struct trace *t, const bool *chosen, const struct simulate_device *d, double *left)
{
	size_t next = 0, first = 0, best;
	double now = 0, sum = 0, until;

	for (size_t i = 0; i < t->n; i++)
		left[i] = chosen[i] ? size_with_launch(&t->tasks[i], d) : 0;
	for (;;) {
		while (next < t->n && t->tasks[next].arrival <= now)
			next++;
		while (first < next && (left[first] <= 0 || t->tasks[first].deadline <= now))
			first++;
		until = next < t->n ? t->tasks[next].arrival : INFINITY;
		best = earliest_deadline(t, left, first, next, now);
		if (best < t->n)
			sum += do_until(d, &now, fmin(until, t->tasks[best].deadline), &left[best]);
		else if (next < t->n)
			now = until;
		else
			return sum;
	}
}

struct sized {
	double work;
	size_t nr;
};

static int by_work(const void *p, const void *q)
{
	const struct sized *a = p, *b = q;

	return (a->work > b->work) - (a->work < b->work);
}

/* Of each, the smallest first, as much as fits beside those before it; or, if they have to be @whole, all of it or nothing. */
static double fill(const struct trace *t, const struct simulate_device *d, bool whole, const struct sized *sorted, bool *chosen,
		   double *left)
{
	double before = 0, filled = 0;

	for (size_t i = 0; i < t->n; i++) {
		bool *this = &chosen[sorted[i].nr];
		double work, part;

		*this = true;
		work = most_work(t, chosen, d, left);
		part = (work - before) / sorted[i].work;
		if (whole && part < 1 - 1e-9) {
			*this = false;
			continue;
		}
		filled += part;
		before = work;
	}
	return filled;
}

static double most(const struct trace *t, const struct simulate_device *d, bool whole)
{
	struct sized *sorted = calloc(t->n ?: 1, sizeof(*sorted));
	bool *chosen = calloc(t->n ?: 1, sizeof(*chosen));
	double *left = calloc(t->n ?: 1, sizeof(*left)), ret = -1;

	for (size_t i = 0; i < t->n && sorted; i++)
		sorted[i] = (struct sized){ size_with_launch(&t->tasks[i], d), i };
	if (sorted && chosen && left) {
		qsort(sorted, t->n, sizeof(*sorted), by_work);
		ret = fill(t, d, whole, sorted, chosen, left);
	}
	free(left);
	free(chosen);
	free(sorted);
	return ret;
}

double simulate_bound(const struct trace *t, const struct simulate_device *d)
{
	return most(t, d, false);
}

double simulate_clairvoyant(const struct trace *t, const struct simulate_device *d)
{
	return most(t, d, true);
}
