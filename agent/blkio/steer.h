/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the room blkio: limits (agent/blkio/limit.c) and latency targets (agent/blkio/target.c). */
#ifndef NESTOR_BLKIO_STEER_H
#define NESTOR_BLKIO_STEER_H

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/blkio/policy.h"
#include "agent/steer/disk.h"

struct blkio;
struct blkio_limits;
struct blkio_targets;
struct history;
struct metrics;

/* What limits ask of those above them. */
struct blkio_limit_ops {
	/* What is left to @one, in bytes per second; BLKIO_NO_CAP: all. */
	void (*cap)(struct blkio *b, const struct workload *one, const char *device, __u64 *ret_read, __u64 *ret_write);
	void (*disks_changed)(struct blkio *b); /* before limits are set anew */
};

/*
 * Limits: io.max and weights as policy has them, for containers and VMs that are there and those to come. start()
 * and apply() give 0, or -errno, logged. stop() leaves limits in force.
 */
int blkio_limit_start(struct blkio *b, const struct blkio_limit_ops *ops);
int blkio_limit_apply(struct blkio *b);
void blkio_limit_collect(struct blkio *b, struct metrics *m);
void blkio_limit_sample(struct blkio *b, struct history *h);
void blkio_limit_stop(struct blkio *b);

#define BLKIO_ACTIONS "nestor_blkio_actions_total"
#define BLKIO_ACTIONS_HELP "What was done to limits, or would be in mode enforce."

/* Policy has the room off: puts back what it had set, also in an earlier agent. */
void blkio_limit_off(struct env *env);

/*
 * @one came, or has changed: its cgroup may be another one. True: policy was applied, so blkio_limit_update() sets its
 * limits; false: the next blkio_limit_apply() does.
 */
bool blkio_limit_born(struct blkio *b, const struct workload *one);
void blkio_limit_gone(struct blkio *b, const struct workload *one);

/* A target changed what @one may do at most: sets its io.max anew. */
void blkio_limit_update(struct blkio *b, const struct workload *one);

/* What an earlier agent left in force below what policy says: a target's doing. BLKIO_NO_CAP: nothing. */
void blkio_limit_in_force(struct blkio *b, const struct workload *one, const char *device, __u64 *ret_read, __u64 *ret_write);

/* Calls @visit for all containers and VMs. */
void blkio_limit_for_each(struct blkio *b, void (*visit)(void *data, const struct workload *one), void *data);

/* Is what policy says enforced here and now? */
bool blkio_limit_enforces(const struct blkio *b);

/*
 * Targets: keep the 99th percentile of a container's latency by lowering others' io.max. start() comes after
 * blkio_limit_start(), apply() before blkio_limit_apply().
 */
int blkio_target_start(struct blkio *b);
void blkio_target_apply(struct blkio *b);
void blkio_target_collect(struct blkio *b, struct metrics *m);
void blkio_target_stop(struct blkio *b);

void blkio_target_born(struct blkio *b);
void blkio_target_gone(struct blkio *b, const struct workload *one);

/* What targets leave to @one, in bytes per second; BLKIO_NO_CAP: all. */
#define BLKIO_NO_CAP (~0ULL)
void blkio_target_cap(struct blkio *b, const struct workload *one, const char *device, __u64 *ret_read, __u64 *ret_write);

#endif
