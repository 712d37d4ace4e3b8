/* SPDX-License-Identifier: GPL-2.0 */
/* The broker's side of executors, the lowest layer: what they report, and their deaths, go up by executor_ops. */
#ifndef NESTOR_GPUFN_EXECUTOR_H
#define NESTOR_GPUFN_EXECUTOR_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "agent/gpufn/owed.h"
#include "agent/lib/loop.h"

struct broker;
struct device;
struct executor;
struct tenant;

struct executor_ops {
	void (*on_report)(struct executor *e, const struct gpufn_report *r); /* of an order */
	void (*on_death)(struct executor *e, const char *why); /* takes all parts off @e, which is freed afterwards */
};

struct executor {
	LIST_ENTRY(executor) entry;
	struct broker *broker;
	struct tenant *tenant;
	struct device *device;
	struct source reports; /* fd -1: nothing more is taken from it */
	struct source end; /* its pidfd */
	pid_t pid;
	bool ready, retired;
	double silent_at; /* since when its socket is closed; 0: it is not */
	char dir[256];
	double used_at; /* when it had something to do */
	double busy_since; /* since when it owes a report; 0: it owes none */
	struct owed owed;
	__u64 *compiled; /* hashes of functions */
	unsigned int nr_compiled;
	double astray; /* since when a slice that others no longer wait for runs; 0: none does */
	LIST_HEAD(, part) parts;
};

/* Of @t on @d, started if there is none. NULL: it cannot be. */
struct executor *executor_get(struct broker *b, struct tenant *t, struct device *d);
/* 0 or -errno, -EAGAIN: it does not take any more now; @fd: -1, or what goes with it. */
int executor_order(struct executor *e, struct gpufn_order *o, int fd);
/* Has it said that it has compiled the function of that hash? */
bool executor_has_compiled(const struct executor *e, __u64 hash);
void executor_note_compiled(struct executor *e, __u64 hash);
/* Kills it; its calls fail at once, for @why. @e must not be used any more. */
void executor_kill(struct executor *e, const char *why);
/* Its socket has been closed for long, and it has not ended. */
bool executor_is_mute(const struct executor *e, double now);
/* No new calls for those that are there: functions have changed, which they have compiled. They go when they have nothing left.
 */
void executor_retire_all(struct broker *b);
void executor_kill_retired(struct broker *b);
/* Once a second: those that have had nothing to do for long go. */
void executor_tend(struct broker *b);
bool executor_has(const struct broker *b, const struct tenant *t);
void executor_kill_all(struct broker *b);

#endif
