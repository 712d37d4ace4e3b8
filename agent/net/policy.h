/* SPDX-License-Identifier: GPL-2.0 */
/* The section net of the policy. */
#ifndef NESTOR_NET_POLICY_H
#define NESTOR_NET_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"

enum migration_kind { MIGRATION_CRIU, MIGRATION_QEMU, MIGRATION_CLOUD_HYPERVISOR, MIGRATION_OTHER, MIGRATION_KINDS };

/* As in the policy, and as labels. */
extern const char *const net_kind_names[MIGRATION_KINDS];

/*
 * Limits of network traffic; 0: none. For containers or VMs by the globs of their names (fnmatch(3)), NULL where not given,
 * or for all traffic of a kind of migration. Exactly one of the three is given.
 */
struct net_limit {
	char *container, *vm;
	__u32 migration; /* 1 + enum migration_kind; 0: not given */
	__u64 egress, ingress; /* bits per second */
	__u32 weight; /* share of net.link, 1 to 10000 */
};

/* Which sockets carry a migration: all conditions that are given must hold, and at least one is. */
struct net_migration {
	enum migration_kind kind;
	char *process; /* glob of the name (comm) of the process that opened the socket */
	char *container; /* glob of the container it is in */
	__u32 port, port_last; /* local or remote; port_last 0: one port */
	__u32 mark; /* SO_MARK */
};

struct net_policy {
	enum policy_mode mode;
	__u64 link; /* bits per second that weights share; 0: not told, and weights do nothing */
	struct net_limit *limits;
	struct net_migration *migration;
	unsigned int limits_count, migration_count;
};

extern const struct policy_section policy_net;

#endif
