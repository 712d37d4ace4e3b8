// SPDX-License-Identifier: GPL-2.0
/* budget: 30, lane: free */
/* Invocations parted over unlike devices: by hand, and in a queue, against whole ones. The seeds are fixed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/lib/util.h"
#include "gpu/sched/simulate.h"
#include "gpu/sched/split.h"
#include "tests/harness/tap.h"

#define DEVICES 3

static bool is_near(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

static void test_by_hand(void)
{
	struct split_device two[] = { { .speed = 1 }, { .speed = 3 } };
	double parts[SPLIT_DEVICES_MAX];

	ok(is_near(split_work(two, 2, 0, 8, true, 0, parts), 2) && is_near(parts[0], 2) && is_near(parts[1], 6),
	   "split: two idle devices end together");
	ok(is_near(split_work(two, 2, 0, 8, false, 0, parts), 8.0 / 3) && parts[0] == 0 && is_near(parts[1], 8),
	   "split: a call that cannot be sliced goes to the faster device");
	two[1].ready = 2;
	ok(is_near(split_work(two, 2, 0, 8, true, 0, parts), 3.5) && is_near(parts[0], 3.5) && is_near(parts[1], 4.5),
	   "split: a device that is busy until 2 takes less");
	split_work(two, 2, 0, 5.9, true, 0, parts);
	ok(parts[0] == 0 || parts[1] == 0, "split: a call is not parted where more is waiting than the call has");
	two[1].least = 5;
	ok(is_near(split_work(two, 2, 0, 8, true, 0, parts), 14.0 / 3) && parts[0] == 0,
	   "split: a call is not parted for a part that is too small");
	two[1].least = 0;
	two[0].fixed = two[1].fixed = 0.5;
	ok(is_near(split_work(two, 2, 0, 8, true, 0.1, parts), 4), "split: parts have fixed costs");
	split_work(two, 2, 0, 8, true, 1, parts);
	ok(parts[0] == 0 || parts[1] == 0, "split: a call is not parted at a load of 1");
	ok(is_near(split_work(two, 1, 0, 8, true, 0, parts), 8.5), "split: a single device has the whole call");
}

/* ---- a queue ---- */

/* Mean turn-around of a trace, whose work is for all devices together, at @load of what they can do. */
static double turn_around(const struct trace *t, double fixed, double load, bool sliceable)
{
	struct split_device d[DEVICES] = { { .speed = 1 }, { .speed = 2 }, { .speed = 4 } };
	double total = 7, sum = 0;

	for (size_t i = 0; i < DEVICES; i++)
		d[i].fixed = fixed;
	for (size_t i = 0; i < t->n; i++) {
		const struct sched_task *task = &t->tasks[i];
		double parts[SPLIT_DEVICES_MAX], work = task->work * total;
		double end = split_work(d, DEVICES, task->arrival, work, sliceable, load, parts);

		for (size_t j = 0; j < DEVICES; j++)
			if (parts[j] > 0)
				d[j].ready = fmax(d[j].ready, task->arrival) + fixed + parts[j] / d[j].speed;
		sum += end - task->arrival;
	}
	return sum / (double)t->n;
}

static void test_load(enum trace_kind kind, double load, double fixed)
{
	double whole = 0, parted = 0;
	char load_of[64];

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct trace t;

		if (simulate_trace_generate(kind, 3000, load, seed, &t))
			abort();
		whole += turn_around(&t, fixed, load, false);
		parted += turn_around(&t, fixed, load, true);
		simulate_trace_free(&t);
	}
	snprintf(load_of, sizeof(load_of), "%s, load %.2f, %.1f ms a part", simulate_trace_kind_names[kind], load, fixed * 1e3);
	printf("# %s: %.1f ms whole, %.1f ms parted: %.0f %% better\n", load_of, whole / 5 * 1e3, parted / 5 * 1e3,
	       100 * (1 - parted / whole));
	ok(parted <= 1.02 * whole, "split: %s: parted calls are never slower", load_of);
	if (kind == TRACE_POISSON && fixed <= 0.001 && load <= 0.3) /* 43 % is the most: all of seven for four of seven */
		ok(parted <= (load <= 0.1 ? 0.6 : 0.67) * whole, "split: %s: parted calls take 0.67 of the time at most",
		   load_of);
}

static void test_queue(void)
{
	static const double loads[] = { 0.1, 0.3, 0.5, 0.7, 0.9, 1.2 }, fixed[] = { 0.0002, 0.001, 0.005 };

	for (int kind = 0; kind < TRACE_KINDS; kind++)
		for (size_t l = 0; l < ARRAY_SIZE(loads); l++)
			for (size_t f = 0; f < ARRAY_SIZE(fixed); f++)
				test_load((enum trace_kind)kind, loads[l], fixed[f]);
}

static void test_speed(void)
{
	struct split_device d[8];
	double parts[SPLIT_DEVICES_MAX], sum = 0;
	clock_t began = clock();
	double us;

	for (size_t i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = (struct split_device){ .speed = (double)(1 + i), .fixed = 0.0001 };
	for (int i = 0; i < 1000; i++) { /* each is queued */
		split_work(d, ARRAY_SIZE(d), 0, 0.01, true, 0.5, parts);
		for (size_t j = 0; j < ARRAY_SIZE(d); j++) {
			d[j].ready += parts[j] > 0 ? d[j].fixed + parts[j] / d[j].speed : 0;
			sum += parts[j];
		}
	}
	us = (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC / 1000;
	ok(fabs(sum - 10) < 1e-6, "split: parts add up to the work");
	ok(us < 100, "split: a decision for 8 devices takes less than 100 us of processor time: %.2f us", us);
}

int main(void)
{
	test_by_hand();
	test_queue();
	test_speed();
	return done_testing();
}
