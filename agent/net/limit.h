/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the limits of the room net: what their files share. agent/net/limit.c says who they are. */
#ifndef NESTOR_NET_LIMIT_H
#define NESTOR_NET_LIMIT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/base/env.h"
#include "agent/net/fq.h"
#include "agent/who/who.h"
#include "bpf/netlimit.h"

struct netlimit_bpf;

/* A container or VM that is there, limited or not; or one that a former agent limited and that nobody told us of yet. */
struct net_subject {
	const struct workload *one; /* NULL: nobody told us of it, or it is gone */
	__u64 cgroup; /* its id; 0 for a VM */
	__u32 slot; /* 0: has none */
	bool limited; /* if not, what the slot still has is taken back at the next look */
	const char *failure; /* why its limit is not in force; NULL: it is */
	LIST_ENTRY(net_subject) entry;
};

struct net_limits {
	struct env *env;
	struct netlimit_bpf *bpf; /* NULL: only to undo, or limits are impossible here */
	const char *impossible; /* why */
	struct netlimit_rule *rules; /* mapped */
	__u64 *link; /* mapped */
	struct who_watch watch;
	bool watching, applied;
	struct source look; /* timer */
	bool look_is_near; /* it was set to look soon, and has not yet */
	bool migration; /* of any kind is limited */
	struct net_fq *fq;
	struct net_fq_counts counts;
	bool looked; /* into the namespaces of all, once: a former agent may have left fq there */
	LIST_HEAD(, net_subject) subjects;
};

static inline bool net_is_vm(const struct net_subject *s)
{
	return s->one && s->one->vm[0];
}

/* ---- cgroups, programs (agent/net/limit_attach.c) ---- */

__u64 net_cgroup_id(const struct net_limits *l, const char *path); /* 0: it is gone */
int net_cgroup_process(const struct net_limits *l, const char *path); /* a process in it or below; 0: there is none */

/* Attached already is well. 0 or -errno. */
int net_attach_container(struct net_limits *l, const struct net_subject *s);
int net_attach_vm(struct net_limits *l, const struct net_subject *s); /* -ENODEV: it has no taps */
int net_attach_migration(struct net_limits *l);

#endif
