/* SPDX-License-Identifier: GPL-2.0 */
/* The agent: what it knows, its rooms, and the policy in force. */
#ifndef NESTOR_AGENT_H
#define NESTOR_AGENT_H

#include <stdbool.h>

#include "agent/lib/buf.h"
#include "agent/base/kernel.h"
#include "agent/lib/loop.h"
#include "agent/policy/policy.h"
#include "agent/room.h"
#include "agent/who/who.h"

struct options {
	const char *listen; /* ADDR:PORT */
	const char *policy; /* file or directory; NULL: the built-in one */
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
	struct kernel kernel;
	struct policy *policy;
	struct room_state *rooms; /* nr_rooms */
	struct loop loop;
	__u64 started_ns;

	int run_dir_fd, bpffs_fd; /* both locked: one agent each */
	unsigned int counters_reset;

	struct who *who;
	struct metrics *metrics; /* NULL until somebody asks for them */
	struct history *history; /* NULL until it is sampled */
	struct bpf_stats *self_stats;
	struct reloads reloads;
	char metrics_url[128]; /* "" until it listens */
};

/* Probes the kernel and takes run directory and bpffs. 0, or -errno after one sentence. */
int agent_open(struct agent *a, const struct options *opts);
void agent_close(struct agent *a);

/* Makes @policy the one in force, which then belongs to the agent: starts, stops and tells rooms. */
void agent_apply(struct agent *a, struct policy *policy);
/* False if a room that policy wants is not up. */
bool agent_healthy(const struct agent *a);
/* Stops the rooms, forgets all counters, starts the rooms. 0 or -errno, logged. */
int agent_reset(struct agent *a, unsigned int *ret_removed);

/* Where pinned counters go; NULL: nowhere (--check). */
static inline const char *agent_pin_dir(const struct agent *a)
{
	return a->opts.check ? NULL : a->opts.bpffs;
}

#endif
