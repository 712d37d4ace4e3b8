/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the room net: what its files share. net.c counts; agent/net/taps.c and agent/net/migration_rules.c feed it;
 * agent/net/limit.c limits. */
#ifndef NESTOR_NET_NET_H
#define NESTOR_NET_NET_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/base/env.h"
#include "agent/net/policy.h"
#include "agent/who/counters.h"
#include "agent/who/who.h"
#include "bpf/net.h"

struct history;
struct metrics;
struct net_bpf;
struct net_limits;
struct tap;

struct net {
	struct env *env;
	struct net_bpf *bpf;
	struct net_limits *limits; /* agent/net/limit.c's own */
	struct counters total; /* struct net_total */
	struct counters migration; /* struct net_migrated */
	struct who_watch watch;
	bool has_tcx; /* links of traffic control, from Linux 6.6 on; else there are filters only */
	LIST_HEAD(, tap) taps;
};

/* ---- taps (agent/net/taps.c) ---- */

/* @one is a VM that is there, perhaps with other taps than before. */
void net_taps_update(struct net *n, const struct workload *one);
/* Lets go of the taps of @one; NULL: of all. */
void net_taps_drop(struct net *n, const struct workload *one);

/* ---- which sockets carry a migration (agent/net/migration_rules.c) ---- */

/* 0 or -errno, logged. */
int net_rules_apply(struct net *n, const struct net_policy *p);

/* ---- limits (agent/net/limit.c) ---- */

/*
 * Limits outlive the agent: net_limit_stop() leaves them in force, and the next net_limit_start() goes on with them.
 * net_limit_undo() takes them back, when none is started.
 */
int net_limit_start(struct net *n); /* 0 or -errno, logged; then, too, net_limit_stop() is to be called */
int net_limit_apply(struct net *n, const struct net_policy *p); /* 0 or -errno, logged */
void net_limit_collect(struct net *n, struct metrics *m);
void net_limit_sample(struct net *n, struct history *h);
void net_limit_stop(struct net *n);
void net_limit_undo(struct env *env);

#endif
