// SPDX-License-Identifier: GPL-2.0
/* budget: 30, lane: free */
/*
 * The scheduler of GPU functions in the simulator, over traces of three kinds, loads and overheads, on a device of which others
 * take up to two thirds: against the rules that it is measured with, and the bound. The seeds are fixed: it always does the
 * same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/lib/util.h"
#include "gpu/sched/simulate.h"
#include "tests/harness/tap.h"

#define TASKS 300
#define SEEDS 12

static const double fixed_sizes[] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1 }; /* s */

/* Sums over the seeds */
struct cell {
	double in_time[SCHED_RULES], wasted[SCHED_RULES], fixed[ARRAY_SIZE(fixed_sizes)], bound, known;
};

static void add_trace(const struct trace *t, const struct simulate_device *d, struct cell *c)
{
	struct simulate_result r;

	for (int rule = 0; rule < SCHED_RULES; rule++) {
		if (simulate_run(t, d, (enum sched_rule)rule, 0.01, &r) || r.in_time + r.late + r.dropped != t->n)
			abort();
		c->in_time[rule] += (double)r.in_time;
		c->wasted[rule] += r.wasted;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed_sizes); i++) {
		if (simulate_run(t, d, RULE_EDF_FIXED, fixed_sizes[i], &r))
			abort();
		c->fixed[i] += (double)r.in_time;
	}
	c->bound += simulate_bound(t, d);
	c->known += simulate_clairvoyant(t, d);
}

static struct cell run_cell(enum trace_kind kind, double load, double overhead)
{
	const struct simulate_device d = { .overhead = overhead, .period = 9, .capacity = { 1, 0.5, 0.35 } };
	struct cell c = { 0 };

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct trace t;

		if (simulate_trace_generate(kind, TASKS, load, seed, &t))
			abort();
		add_trace(&t, &d, &c);
		simulate_trace_free(&t);
	}
	return c;
}

static void test_cell(enum trace_kind kind, double load, double overhead)
{
	const struct cell c = run_cell(kind, load, overhead);
	double ours = c.in_time[RULE_ADAPTIVE], best = 0, best_fixed = 0;
	const double *in_time = c.in_time;
	char cell[64];

	for (int rule = 0; rule < RULE_ADAPTIVE; rule++)
		best = rule == RULE_EDF_FIXED ? best : fmax(best, in_time[rule]);
	for (size_t i = 0; i < ARRAY_SIZE(fixed_sizes); i++)
		best_fixed = fmax(best_fixed, c.fixed[i]);
	snprintf(cell, sizeof(cell), "%s, load %.1f, overhead %.2f ms", simulate_trace_kind_names[kind], load, overhead * 1e3);
	printf("# %s: %.0f of %d in time; %.2f of edf-late, %.2f of edf-feasible, %.2f of the "
	       "best fixed slice, %.2f of who knows the future, %.2f of the bound\n",
	       cell, ours, TASKS * SEEDS, ours / in_time[RULE_EDF_LATE], ours / in_time[RULE_EDF_FEASIBLE], ours / best_fixed,
	       ours / c.known, ours / c.bound);
	ok(ours >= best, "sched: %s: at least as many in time as by any other rule", cell);
	ok(ours >= 0.95 * best_fixed, "sched: %s: within 5 %% of the best fixed slices", cell);
	ok(c.wasted[RULE_ADAPTIVE] <= 0.5 * c.wasted[RULE_EDF_LATE], "sched: %s: at most half the wasted work of edf-late",
	   cell);
	ok(ours <= c.bound && c.known <= c.bound && c.bound <= TASKS * SEEDS, "sched: %s: no rule exceeds the bound", cell);
	if (overhead > 0.0002)
		return;
	ok(ours >= 0.85 * c.known, "sched: %s: at least 0.85 of a clairvoyant", cell);
	if (load < 0.7)
		return;
	ok(ours >= 1.3 * in_time[RULE_EDF_FEASIBLE], "sched: %s: at least 1.3 times edf-feasible", cell);
	ok(ours >= 1.8 * in_time[RULE_EDF_LATE], "sched: %s: at least 1.8 times edf-late", cell);
}

static void test_goodput(void)
{
	static const double loads[] = { 0.4, 0.7, 1.0, 1.2 }, overheads[] = { 0.00015, 0.001, 0.004 };

	for (int kind = 0; kind < TRACE_KINDS; kind++)
		for (size_t l = 0; l < ARRAY_SIZE(loads); l++)
			for (size_t o = 0; o < ARRAY_SIZE(overheads); o++)
				test_cell((enum trace_kind)kind, loads[l], overheads[o]);
}

/* ---- the bound, where it can be known ---- */

static double bound_of(struct sched_task *tasks, size_t n, const struct simulate_device *d)
{
	const struct trace t = { tasks, n };

	return simulate_bound(&t, d);
}

static void test_bound(void)
{
	const struct simulate_device alone = { 0 }, half = { .period = 3, .capacity = { 0.5, 0.5, 0.5 } },
				     launches = { .overhead = 0.25 };
	struct sched_task one[] = { { .arrival = 0, .work = 1, .deadline = 1 } };
	struct sched_task two[] = { { .arrival = 0, .work = 1, .deadline = 1.5 },
				    { .arrival = 0, .work = 1, .deadline = 1.5 } };
	struct sched_task within[] = { { .arrival = 0, .work = 2, .deadline = 3 }, { .arrival = 1, .work = 1, .deadline = 2 } };

	ok(fabs(bound_of(one, 1, &alone) - 1) < 1e-9, "sched: bound: a call that fits counts whole");
	ok(fabs(bound_of(one, 1, &half) - 0.5) < 1e-9, "sched: bound: a call counts half on half a device");
	ok(fabs(bound_of(two, 2, &alone) - 1.5) < 1e-9, "sched: bound: two calls with time for one and a half count 1.5");
	ok(fabs(bound_of(within, 2, &alone) - 2) < 1e-9, "sched: bound: two calls count whole if one can be interrupted");
	ok(simulate_clairvoyant(&(struct trace){ within, 2 }, &alone) == 2,
	   "sched: clairvoyant: two calls end in time if one can be interrupted");
	ok(simulate_clairvoyant(&(struct trace){ two, 2 }, &alone) == 1,
	   "sched: clairvoyant: one of two calls ends in time if there is time for one and a half");
	ok(fabs(bound_of(two, 2, &launches) - 1.5 / 1.25) < 1e-9, "sched: bound: the cost of launches lowers the bound");
}

/* ---- the capacity ---- */

/* The device becomes slower at once, and faster; slices tell. */
static void test_capacity(void)
{
	static const double steps[] = { 1, 0.35, 0.5, 1 };
	struct sched *s = sched_new(RULE_ADAPTIVE, 0.001, 0);
	struct sched_task t = { .work = 1000, .deadline = 1e6 };
	struct sched_slice slice;
	double now = 0;

	sched_add(s, &t);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (int n = 0; n < 5 && sched_next(s, now, &slice); n++) {
			double took;

			slice.work = slice.work > 1 ? 1 : slice.work;
			took = 0.001 + slice.work / steps[i];
			now += took;
			sched_done(s, &slice, took);
		}
		ok(fabs(sched_capacity(s) / steps[i] - 1) <= 0.15,
		   "sched: capacity: five slices after a step to %.2f the scheduler knows it: %.3f", steps[i],
		   sched_capacity(s));
	}
	sched_free(s);
}

/* ---- admission ---- */

static void test_earliest(void)
{
	struct sched *s = sched_new(RULE_ADAPTIVE, 0, 0);
	struct sched_task soon = { .work = 1, .deadline = 10 }, later = { .work = 2, .deadline = 20 };

	sched_add(s, &soon);
	sched_add(s, &later);
	ok(fabs(sched_earliest(s, 5, 1, 5) - 6) < 1e-9, "sched: earliest: the call with the first deadline goes first");
	ok(fabs(sched_earliest(s, 5, 1, 15) - 7) < 1e-9,
	   "sched: earliest: a call with the second deadline goes after the first");
	ok(fabs(sched_earliest(s, 5, 1, 30) - 9) < 1e-9, "sched: earliest: the call with the last deadline goes last");
	sched_free(s);
}

int main(void)
{
	test_bound();
	test_capacity();
	test_earliest();
	test_goodput();
	return done_testing();
}
