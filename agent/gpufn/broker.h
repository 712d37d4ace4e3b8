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
#include <sys/stat.h>

#include <jansson.h>

#include "agent/gpufn/call.h"
#include "agent/gpufn/device.h"
#include "agent/gpufn/executor.h"
#include "agent/gpufn/tenant.h"
#include "agent/lib/loop.h"
#include "bpf/hist.h"
#include "gpu/fn/library.h"
#include "gpu/sched/sched.h"

#define GPUFN_BROKER_NAME "nestord-gpufn"
enum { GPUFN_AGENT_FD = 3, GPUFN_LISTEN_FD = 4 };

#define GPUFN_PRIORITIES 4 /* 0 to 3 */

struct broker {
	struct loop loop;
	const char *functions_dir, *state_dir;
	struct library library, before; /* the latter for calls that began before the library changed */
	unsigned int library_nr; /* how often it was another one */
	struct stat watched; /* its directory */
	int watch; /* of that */
	double changed_at; /* when the first change came that is not taken up yet; 0: there is none */
	struct device *devices;
	unsigned int nr_devices;
	const struct executor_ops *executor_ops;
	LIST_HEAD(, executor) executors, dying; /* the latter were killed, and have not ended yet */
	LIST_HEAD(, tenant) tenants;
	TAILQ_HEAD(, call) calls;
	__u64 last_call; /* its id */
	__u32 last_part;
	json_t *names; /* who is which tenant, as the agent sent it: {"nr": …, "paths": {…}, "users": {NAME: …}} */
	json_t *users; /* these by their numbers */
	enum shares_rule share;
	enum sched_rule rule;
	bool enforce;
	__u64 memory, memory_used; /* bytes that all calls together may have, and have, uploads among them */
	double slice_limit;
	unsigned int nr_tenants;
	struct source agent, tick, changes, settle; /* of the library: that there are any, and that they are over */
	struct gpufn_http *front; /* agent/gpufn/http.c's */
	__u64 executors_died, executors_killed, executors_started;
	__u64 executors_forged; /* of those killed: for reports that nobody asked for */
	struct hist lateness; /* of calls with deadlines; those in time count as 0 */
	__u64 lateness_ns; /* their sum */
};

/* What the agent shows and counts; a new reference. */
json_t *broker_state(struct broker *b);

int gpufn_http_open(struct broker *b);
void gpufn_http_tick(struct broker *b); /* once a second */
void gpufn_http_close(struct broker *b);

/* argv: name, user, directory of functions, directory of its own, log level. Returns an exit status. */
int gpufn_broker_main(char **argv);

#endif
