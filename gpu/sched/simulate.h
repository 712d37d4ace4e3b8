/* SPDX-License-Identifier: GPL-2.0 */
/* What the scheduler would make of a trace: the same code as on a device, over a clock that jumps. */
#ifndef NESTOR_SCHED_SIMULATE_H
#define NESTOR_SCHED_SIMULATE_H

#include <stdint.h>

#include "gpu/sched/sched.h"

struct trace {
	struct sched_task *tasks; /* by arrival */
	size_t n;
};

enum trace_kind {
	TRACE_POISSON, /* arrivals at random, sizes from 5 to 200 ms, each order of magnitude as likely */
	TRACE_BURSTY, /* the same, but arrivals come in bursts: a tenth of the time has nine tenths of them */
	TRACE_FUNCTIONS, /* as clouds see them: most are short, a few very long (log-normal), arrivals in bursts */
	TRACE_KINDS,
};
extern const char *const simulate_trace_kind_names[TRACE_KINDS];

/*
 * @n tasks whose work comes at @load times what the device could do; deadlines after 1.5 to 5 times their work. The same for
 * the same @seed. 0 or -ENOMEM.
 */
int simulate_trace_generate(enum trace_kind kind, size_t n, double load, uint64_t seed, struct trace *ret);
void simulate_trace_free(struct trace *t);

/* Others use the device, too: of each @period, its third thirds have these parts of it for us. */
struct simulate_device {
	double overhead; /* of a launch, s */
	double period; /* s; 0: it is ours alone */
	double capacity[3];
};

struct simulate_result {
	size_t in_time, late, dropped;
	double busy, wasted; /* s of work that was done; of that, for tasks that were not in time */
	double lateness; /* s, sum of those that were late */
	uint64_t slices;
};

/* Runs @t by @rule. 0 or -ENOMEM. */
int simulate_run(const struct trace *t, const struct simulate_device *d, enum sched_rule rule, double fixed,
		 struct simulate_result *ret);

/*
 * As many as nobody can have in time, not even who knows all that comes: of each task any part may count, and interrupting
 * costs nothing, but one launch each. Takes each task, the smallest first, for as much of its work as fits beside those before
 * it; that is the most, for what fits is a polymatroid (Edmonds, "Submodular functions, matroids, and certain polyhedra",
 * 1970). Time goes with the square of their number. -1: no memory.
 */
double simulate_bound(const struct trace *t, const struct simulate_device *d);
/* The same for whole tasks only: what does not fit is left out. So many one can have who knows all that comes, if not more. */
double simulate_clairvoyant(const struct trace *t, const struct simulate_device *d);

#endif
