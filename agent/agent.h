/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The agent: one thread, one epoll loop. Everything that can happen is a source; whoever owns a file
 * descriptor adds it and gets called when it can be read.
 */
#ifndef NESTOR_AGENT_H
#define NESTOR_AGENT_H

#include <stdbool.h>

#include "agent/buf.h"
#include "agent/kernel.h"
#include "agent/policy.h"
#include "agent/room.h"

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

struct source {
	int fd;
	void (*ready)(struct source *s); /* fd can be read, or its other end is gone */
	void *data;
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
	int epoll;
	bool stop;
	__u64 started_ns;

	int run_dir_fd, bpffs_fd; /* both locked: one agent each */
	unsigned int counters_reset;

	struct http *http;
	struct ctl *ctl;
	struct reload *reload;
	struct self_stats *self_stats;
};

/* ---- for main ---- */

/* Probes the kernel and takes run directory and bpffs. 0, or -errno after one sentence. */
int agent_open(struct agent *a, const struct options *opts);
/* Runs until SIGTERM or SIGINT. */
int agent_run(struct agent *a);
void agent_close(struct agent *a);

/* Makes @policy the one in force, which then belongs to the agent: starts, stops and tells rooms. */
void agent_apply(struct agent *a, struct policy *policy);
/* False if a room that policy wants is not up. */
bool agent_healthy(const struct agent *a);
/* Stops the rooms, forgets all counters, starts the rooms. 0 or -errno. */
int agent_reset(struct agent *a, unsigned int *ret_removed);

/* ---- for rooms and the core's parts ---- */

int agent_add_source(struct agent *a, struct source *s); /* 0 or -errno, logged */
void agent_remove_source(struct agent *a, struct source *s);
/* A timerfd that expires first after @first_ns, then every @every_ns (0: once). -errno if there is none. */
int agent_timer(__u64 first_ns, __u64 every_ns);
void agent_rearm_timer(int fd, __u64 first_ns, __u64 every_ns);
void agent_drain_timer(int fd);

/* Where pinned counters go; NULL: nowhere (--check). */
const char *agent_pin_dir(const struct agent *a);

#endif
