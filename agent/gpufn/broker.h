/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The broker of GPU functions: a process of its own, without privileges. It takes calls, keeps what they bring and give,
 * decides which device does what of them when, and has executors do it. It runs nobody's code, and looks into nobody's data.
 *
 * One thread, one loop; nothing here waits. Times are seconds of CLOCK_MONOTONIC.
 */
#ifndef NESTOR_GPUFN_BROKER_H
#define NESTOR_GPUFN_BROKER_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>

#include "agent/gpufn/wire.h"
#include "agent/lib/loop.h"
#include "bpf/hist.h"
#include "gpu/fn/library.h"
#include "gpu/sched/sched.h"
#include "gpu/sched/shares.h"

#define GPUFN_BROKER_NAME "nestord-gpufn"
enum { GPUFN_AGENT_FD = 3, GPUFN_LISTEN_FD = 4 };

#define GPUFN_PRIORITIES 4 /* 0 to 3 */
#define GPUFN_TENANTS_MAX 256
#define GPUFN_DYING_MAX 64
#define GPUFN_TENANT_MAX 256 /* bytes of a name, with the NUL; what is longer is cut */

struct broker;
struct device;
struct executor;
struct tenant;

/* ---- tenants ---- */

struct tenant_counts {
	__u64 calls, done, late, dropped, failed, cancelled; /* calls, and how they ended; late ones are not among done */
	__u64 refused_early, refused_queue, refused_memory; /* no time, too many calls, too much memory */
	__u64 slices;
	double device_seconds, wasted_seconds; /* the latter for calls that were not in time */
};

struct tenant {
	LIST_ENTRY(tenant) entry;
	char name[GPUFN_TENANT_MAX];
	bool named; /* by policy; else it may not call any more */
	double weight;
	unsigned int priority; /* the highest that its calls may have */
	__u64 memory; /* bytes that its calls may have at a time, of the device and in files */
	__u32 queue; /* calls at a time */
	__u64 memory_used; /* also what is being uploaded */
	__u32 nr_calls, nr_peers; /* that have not ended; connections */
	struct tenant_counts counts;
};

/* ---- calls ---- */

enum call_end { CALL_RUNS, CALL_DONE, CALL_LATE, CALL_DROPPED, CALL_FAILED, CALL_CANCELLED };

struct part {
	struct call *call;
	struct device *device;
	struct executor *executor; /* NULL: it died */
	__u32 nr; /* by which the executor knows it */
	__u64 first, groups; /* of all kernels' groups, one after the other; @first is not 0 for parts of one kernel only */
	__u64 next; /* that has not been launched */
	__u64 ran; /* groups */
	__u64 astray; /* groups of a slice that others no longer wait for; 0: none */
	bool there; /* its data is */
	double since; /* when it was opened, when its last group had run */
	double moving; /* seconds from when it was opened until its data was there */
	bool queued; /* in its lane */
	struct sched_task task;
	struct lane *lane;
	LIST_ENTRY(part) of_executor;
};

#define PARTS_MAX GPU_DEVICES_MAX

struct call {
	TAILQ_ENTRY(call) entry;
	__u64 id;
	struct broker *broker;
	struct tenant *tenant;
	char function[FN_NAME_MAX];
	struct fn_call fn; /* its function may be no more when the call has ended */
	char values[GPUFN_VALUES_MAX];
	int data; /* memfd */
	unsigned int priority;
	double arrived, deadline, ended; /* deadline: INFINITY if there is none */
	double device_seconds;
	__u64 slices;
	struct part parts[PARTS_MAX];
	unsigned int nr_parts, parts_left;
	enum call_end end;
	char why[GPUFN_TEXT_MAX]; /* of those that failed or were dropped */
	void (*done)(struct call *c); /* called once when it has ended; NULL: nobody waits */
	void *data_of_done;
};

extern const char *const call_end_names[];

enum call_refusal { CALL_TAKEN, CALL_TOO_MANY, CALL_TOO_LARGE, CALL_TOO_LATE, CALL_NO_DEVICE, CALL_NO_MEMORY };

/*
 * A call by @t of @fn, which @values tells in words, with @data that the caller filled with inputs; it is the call's from now
 * on, also if it is refused. @deadline in seconds from now, or INFINITY. CALL_TOO_LATE: *@ret_earliest says in how many seconds
 * it could be done. @done may be called before this returns only if it is refused: never.
 */
enum call_refusal call_begin(struct broker *b, struct tenant *t, const struct fn_call *fn, const char *values, int data,
			     double deadline, unsigned int priority, struct call **ret, double *ret_earliest);
/* Ends it, @why may be NULL. What ended before stays as it is. */
void call_finish(struct call *c, enum call_end end, const char *why);
/* It has ended, and what it gave is not wanted any more. */
void call_free(struct call *c);
__u64 call_bytes(const struct fn_call *fn); /* what it takes of its tenant's memory */

/* What executors say, and their ends. */
void call_on_report(struct executor *e, const struct gpufn_report *r);
void call_on_death(struct executor *e, const char *why);
/* A slice has run for too long: calls of others go first (soft), or its executor is killed (hard). */
void call_check_limits(struct broker *b);

/* ---- devices ---- */

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

/* 0 or -errno, logged. */
int device_init(struct broker *b, struct device *d, const struct gpu_info *info, unsigned int nr);
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
/* A part's handling took so long. */
void device_note_handling(struct device *d, double seconds);
double device_capacity(const struct device *d, double now);
double device_group_seconds(struct device *d, const struct fn_call *fn);
bool device_knows(struct device *d, const struct fn_call *fn);

/* ---- executors ---- */

struct executor {
	LIST_ENTRY(executor) entry;
	struct broker *broker;
	struct tenant *tenant;
	struct device *device;
	struct source reports;
	pid_t pid;
	bool ready, retired;
	char dir[256];
	double used_at; /* when it had something to do */
	double busy_since; /* since when it owes a report; 0: it owes none */
	unsigned int owed, opening; /* reports; of these, of calls that are opened, for which it may have to compile */
	double astray; /* since when a slice that others no longer wait for runs; 0: none does */
	LIST_HEAD(, part) parts;
};

/* Of @t on @d, started if there is none. NULL: it cannot be. */
struct executor *executor_get(struct broker *b, struct tenant *t, struct device *d);
/* 0 or -errno, -EAGAIN: it does not take any more now; @fd: -1, or what goes with it. */
int executor_order(struct executor *e, struct gpufn_order *o, int fd);
/* Kills it, if it is not dead already; its calls fail, for @why. */
void executor_kill(struct executor *e, const char *why);
/* No new calls for those that are there: functions have changed, which they have compiled. They go when they have nothing left.
 */
void executor_retire_all(struct broker *b);
void executor_kill_retired(struct broker *b);
/* Once a second: those that have had nothing to do for long go, and the dead are buried. */
void executor_tend(struct broker *b);
bool executor_has(const struct broker *b, const struct tenant *t);
void executor_kill_all(struct broker *b);

/* ---- the whole ---- */

struct broker {
	struct loop loop;
	const char *functions_dir, *state_dir;
	struct library library, before; /* the latter for calls that began before the library changed */
	unsigned int library_nr; /* how often it was read */
	struct device *devices;
	unsigned int nr_devices;
	LIST_HEAD(, executor) executors;
	LIST_HEAD(, tenant) tenants;
	TAILQ_HEAD(, call) calls;
	__u64 last_call; /* its id */
	__u32 last_part;
	json_t *names; /* who is which tenant, as the agent told: {"paths": {…}, "users": {…}} */
	enum shares_rule share;
	enum sched_rule rule;
	bool enforce;
	double slice_limit;
	unsigned int nr_tenants;
	struct source agent, tick, changes, settle; /* of the library: that there are any, and that they are over */
	struct gpufn_http *front; /* agent/gpufn/http.c's */
	pid_t dying[GPUFN_DYING_MAX]; /* killed, and not buried */
	unsigned int nr_dying;
	__u64 executors_died, executors_killed, executors_started;
	struct hist lateness; /* of calls with deadlines; those in time count as 0 */
	__u64 lateness_ns; /* their sum */
};

double gpufn_now(void);
/* Who is at the other end of a connection: by its cgroup, else its user. NULL: nobody whom policy knows. */
struct tenant *tenant_of(struct broker *b, pid_t pid, uid_t uid);

/* What the agent shows and counts; a new reference. */
json_t *broker_state(struct broker *b);
void broker_note_end(struct broker *b, struct call *c);

int gpufn_http_open(struct broker *b);
void gpufn_http_tick(struct broker *b); /* once a second */
void gpufn_http_close(struct broker *b);

/* argv: name, user, directory of functions, directory of its own, log level. Returns an exit status. */
int gpufn_broker_main(char **argv);

#endif
