/* SPDX-License-Identifier: GPL-2.0 */
/* The agent: what it knows, its rooms, and the policy in force. */
#ifndef NESTOR_AGENT_H
#define NESTOR_AGENT_H

#include <stdbool.h>

#include "agent/base/env.h"
#include "agent/lib/buf.h"
#include "agent/policy/policy.h"
#include "agent/room.h"
#include "agent/who/who.h"

struct options {
	const char *listen; /* ADDR:PORT */
	const char *policy; /* file or directory; NULL: the built-in one */
	const struct policy_section *const *sections; /* that a policy may have */
	const char *run_dir;
	const char *bpffs;
	const char *http_user;
	const char *allow_hosts; /* comma-separated, may be "" */
	bool check; /* load, attach, report, exit */
	bool log_level_given; /* --log-level stands over policy */
};

/* What became of the policies that were read. */
struct reloads {
	bool last_ok;
	unsigned long long succeeded, failed;
	struct policy_error error; /* of the last one, "" if it was good */
};

struct room_state {
	const struct room *room;
	void *self;
	bool up;
	bool impossible; /* its probe failed */
	char reason[256]; /* why not up */
};

struct agent {
	struct options opts;
	struct env env; /* what rooms and who see of it */
	struct room_state *rooms;
	unsigned int nr_rooms;
	__u64 started_ns;
	int bpffs_fd; /* locked, as env.run_dir_fd is: one agent each */

	struct metrics *metrics; /* NULL until somebody asks for them */
	struct history *history; /* NULL until it is sampled */
	struct bpf_stats *self_stats;
	struct reloads reloads;
	char metrics_url[128]; /* "" until it listens */
};

/* Probes the kernel and takes run directory and bpffs. @rooms: @nr of them. 0, or -errno after one sentence. */
int agent_open(struct agent *a, const struct options *opts, const struct room *const *rooms, unsigned int nr);
void agent_close(struct agent *a);

/* Makes @policy the one in force, which then belongs to the agent: starts, stops and tells rooms. */
void agent_apply(struct agent *a, struct policy *policy);
/* False if a room that policy wants is not up. */
bool agent_healthy(const struct agent *a);
/* Stops the rooms, forgets all counters, starts the rooms. 0 or -errno, logged. */
int agent_reset(struct agent *a, unsigned int *ret_removed);

#endif
