/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which task a device runs next, and how much of it, so that as many as possible end before their deadlines. Tasks come as they
 * like, deadlines are theirs, the device has other users, too, and what runs is not to be stopped: it ends with its slice.
 *
 * Pure code over a clock that the caller has: the broker of gpufn runs it, and so does the simulator. Times are seconds, on any
 * clock that does not go back. Not for two threads at once.
 */
#ifndef NESTOR_SCHED_SCHED_H
#define NESTOR_SCHED_SCHED_H

#include <stdbool.h>
#include <stddef.h>

enum sched_rule {
	RULE_FCFS, /* whole tasks, in the order they came */
	RULE_RR, /* slices of a fixed size, by turns */
	RULE_EDF, /* whole tasks, the earliest deadline first; also those that are too late */
	RULE_EDF_LATE, /* the same, but what is past its deadline is dropped */
	RULE_EDF_FEASIBLE, /* the same, but what cannot end before its deadline is dropped */
	RULE_EDF_FIXED, /* as EDF_FEASIBLE, in slices of a fixed size */
	RULE_ADAPTIVE, /* ours, see sched_next() */
	SCHED_RULES,
};
extern const char *const sched_rule_names[SCHED_RULES];

struct sched_task {
	double arrival, deadline;
	double work; /* what is left of it: for how long the device is busy with it, if that has nothing else to do */
	double wave; /* the least that is worth a launch: all of the device for one turn */
	double done; /* what was */
	void *data; /* the caller's */
};

struct sched_slice {
	struct sched_task *task;
	double work;
};

struct sched;

/* @overhead: of a launch. @fixed: the size of slices, for the rules that have such. NULL: no memory. */
struct sched *sched_new(enum sched_rule rule, double overhead, double fixed);
void sched_free(struct sched *s);

/* @task is the caller's, and stays where it is until it is done or dropped. 0 or -ENOMEM. */
int sched_add(struct sched *s, struct sched_task *task);

/*
 * What to run at @now; false: nothing. Until sched_done() there is no other call but sched_add().
 *
 * The adaptive rule chooses the tasks that are to end in time by Moore's and Hodgson's rule (Moore, "An n job, one machine
 * sequencing algorithm for minimizing the number of late jobs", 1968): by their deadlines one after the other, and wherever one
 * would be late, that with the most work left is put aside. What is put aside runs only if nothing else does, and may be chosen
 * again. A slice is as long as tasks that are yet to come can wait: half of what the most pressing fifth of the last ones
 * could; and no shorter than six launches.
 */
bool sched_next(struct sched *s, double now, struct sched_slice *ret);

/* The slice took so long. True: its task is done, and out of the queue. */
bool sched_done(struct sched *s, const struct sched_slice *slice, double took);

/* A task of the queue is no longer wanted; not while it has a slice that is not done. */
void sched_remove(struct sched *s, const struct sched_task *task);

/* One that has been given up, for it cannot end in time any more; NULL: none is left. Ask after sched_next(). */
struct sched_task *sched_dropped(struct sched *s);

/* How much of the device we have, 0 to 1: from what slices took, the last one with 40 percent. */
double sched_capacity(const struct sched *s);

/* What is left of all that is queued. */
double sched_backlog(const struct sched *s);

/* When @work would be done at the latest, if it came now, with that deadline, and all that is queued stays in time. */
double sched_earliest(const struct sched *s, double now, double work, double deadline);

#endif
