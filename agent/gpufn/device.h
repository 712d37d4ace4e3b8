/* SPDX-License-Identifier: GPL-2.0 */
/* Devices of the broker: whose turn it is there. Above executors, below calls. */
#ifndef NESTOR_GPUFN_DEVICE_H
#define NESTOR_GPUFN_DEVICE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/gpufn/tenant.h"
#include "agent/gpufn/wire.h"
#include "agent/lib/loop.h"
#include "gpu/fn/library.h"
#include "gpu/sched/sched.h"
#include "gpu/sched/shares.h"

struct broker;
struct executor;
struct part;

/* Who shares a device, by calls of one priority. */
struct lane {
	LIST_ENTRY(lane) entry;
	struct tenant *tenant; /* NULL: all of them, by deadlines */
	unsigned int priority;
	struct sched *sched;
	struct share share;
	double used_at; /* when its last slice ended */
};

/* How long a function takes on a device, for each group, by its cost. */
struct profile {
	LIST_ENTRY(profile) entry;
	char function[FN_NAME_MAX];
	__u64 source; /* its hash */
	double beta; /* seconds; 0: not known */
	__u64 seen; /* slices */
};

struct running {
	struct part *part; /* NULL: nothing */
	struct sched_slice slice;
	__u64 groups;
	double began, expected;
};

struct slice_note { /* for the page */
	double began, took;
	char tenant[GPUFN_TENANT_MAX], function[FN_NAME_MAX];
	__u64 call;
};
#define SLICE_NOTES 512

struct device {
	struct broker *broker;
	void (*given_up)(struct part *p, bool late, const char *why);
	struct gpu_info info;
	unsigned int nr;
	__u64 memory_used;
	double launch; /* seconds that a launch costs */
	double transfer; /* bytes a second to and from it */
	double handling; /* seconds that a part costs besides its launches and transfers */
	LIST_HEAD(, lane) lanes;
	struct lane *last;
	LIST_HEAD(, profile) profiles;
	struct running running;
	struct source wake; /* a timer: for shares that are fixed */
	double since; /* when it was first used; 0: not yet */
	double busy, wasted; /* seconds */
	double load; /* what comes of what it can do, of late */
	double load_at;
	__u64 slices;
	struct slice_note notes[SLICE_NOTES];
	__u64 nr_notes;
};

/*
 * 0 or -errno, logged. @given_up is called for a part that cannot be run: it is @late for its deadline, or there is no memory
 * for it.
 */
int device_init(struct broker *b, struct device *d, const struct gpu_info *info, unsigned int nr,
		void (*given_up)(struct part *p, bool late, const char *why));
void device_close(struct device *d);
/* The tenant goes, of which nothing is queued. */
void device_forget(struct device *d, const struct tenant *t);
/* Shares are other ones: what is queued is queued anew. */
void device_requeue(struct device *d);
/* Starts the next slice, if it has nothing to do. */
void device_next(struct device *d);
int device_add(struct part *p); /* a part whose data is there */
void device_remove(struct part *p); /* it is no longer wanted; what runs of it runs on */
void device_charge(struct part *p, double seconds); /* that something of it ran, to no end */
void device_slice_done(struct part *p, const struct gpufn_report *r);
/* The slice that runs takes too long: others go first, until it is done. */
void device_let_go(struct device *d);
/* What is queued there before a call of @t with that deadline, in seconds. */
double device_wait(const struct device *d, const struct tenant *t, unsigned int priority, double now, double deadline);
/* What another broker has learnt. */
void device_take_profile(struct device *d, const char *function, __u64 source, double seconds, __u64 slices);
/* The slice that @e has is too long: what other slices were said to take is not believed any more. */
void device_unlearn(struct device *d, const struct executor *e);
/* A part's handling took so long. */
void device_note_handling(struct device *d, double seconds);
double device_capacity(const struct device *d, double now);
double device_group_seconds(struct device *d, const struct fn_call *fn);
bool device_knows(struct device *d, const struct fn_call *fn);

#endif
