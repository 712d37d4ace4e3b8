/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of GPU functions, and their parts on devices. Above devices and executors. */
#ifndef NESTOR_GPUFN_CALL_H
#define NESTOR_GPUFN_CALL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/gpufn/device.h"
#include "agent/gpufn/executor.h"
#include "agent/gpufn/tenant.h"
#include "gpu/fn/library.h"
#include "gpu/sched/sched.h"

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
	double astray_at; /* when that slice began */
	bool compiled; /* its function is */
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
	double device_seconds, compile_seconds;
	__u64 slices;
	bool stale; /* it failed because its function has changed */
	struct part parts[PARTS_MAX];
	unsigned int nr_parts, parts_left;
	enum call_end end;
	char why[GPUFN_TEXT_MAX]; /* of those that failed or were dropped */
	void (*done)(struct call *c); /* called once when it has ended; NULL: nobody waits */
	void *data_of_done;
};

/* "done" and the like; of one that has not ended "runs", or "compiles" before anything of it runs. */
const char *call_state(const struct call *c);

enum call_refusal {
	CALL_TAKEN,
	CALL_TOO_MANY, /* calls of the tenant */
	CALL_TOO_LARGE, /* for what the tenant has left */
	CALL_NO_ROOM, /* for what all tenants have left */
	CALL_NEVER, /* larger than all that tenants may have together */
	CALL_TOO_LATE,
	CALL_NO_DEVICE,
	CALL_NO_MEMORY,
};

/* Is there room for @bytes of @t's? A refusal is counted. Asked before an upload, and again when it is there. */
enum call_refusal call_room(struct broker *b, struct tenant *t, __u64 bytes);

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

/* What executors say, and their ends; and what devices give up. */
extern const struct executor_ops call_executor_ops;
void call_given_up(struct part *p, bool late, const char *why);
/* A slice has run for too long: calls of others go first (soft), or its executor is killed (hard). */
void call_check_limits(struct broker *b);

#endif
