/* SPDX-License-Identifier: GPL-2.0 */
/*
 * net: the contract between the BPF programs and the agent.
 *
 * The structs that are keys and values of pinned maps: a change of one gives the pin a new name (see agent/base/bpfobj.c)
 * and the counters start anew.
 */
#ifndef NESTOR_BPF_NET_H
#define NESTOR_BPF_NET_H

#include "bpf/owner.h"

/*
 * Value of net_total, whose key is struct owner. Bytes are those of IP packets, headers included, as they are on the
 * wire: a packet that the network card is to cut into segments, or has put together, counts as all of them.
 */
struct net_total {
	struct net_flow {
		__u64 bytes, packets;
	} rx, tx;
	__u64 retransmits; /* TCP segments sent again */
};

/* Key of net_migration. */
struct net_migration_key {
	struct owner owner;
	__u32 kind; /* enum migration_kind of the policy (agent/net/policy.h) */
	__u32 pad;
};

/* Its value: bytes that are in the owner's net_total as well. */
struct net_migrated {
	__u64 rx_bytes, tx_bytes;
};

#define NET_KINDS 4 /* of migration */
#define NET_KIND_NONE NET_KINDS

#define NET_COMM_MAX 16 /* TASK_COMM_LEN */

/* What is remembered of a socket, for as long as it lives: value of net_sockets. */
struct net_socket {
	struct owner owner;
	char process[NET_COMM_MAX]; /* that opened it; "" where the socket is older than the agent and in no process */
	__u32 kind; /* of migration, or NET_KIND_NONE */
	/* What @kind was found from. It is found anew when one of these changes. */
	__u32 generation; /* of the rules; 0: not found yet */
	__u32 mark; /* SO_MARK */
	__u16 local_port, remote_port;
	__u32 retransmits; /* so many of the kernel's own count are counted */
	__u32 pad;
};

#define NET_RETRANSMITS_UNKNOWN (~0U) /* its count of before the agent's start is not the agent's */

#define NET_RULES_MAX 16

/* Which conditions of a rule are given. */
#define NET_RULE_PROCESS 1
#define NET_RULE_CONTAINER 2
#define NET_RULE_PORT 4
#define NET_RULE_MARK 8

/*
 * A glob as an automaton, whose states are bits. To be in state i is to have matched the first i characters of the
 * glob, stars not counted. A character c leads from state i to the next if bit i is in next[c], and leaves it as it is
 * if bit i is in stay: a star stands there. All states at once: states = (states & next[c]) << 1 | (states & stay).
 */
struct net_glob {
	__u64 stay;
	__u64 accept; /* the one bit of the last state */
	__u64 next[256];
};

#define NET_GLOB_MAX 63 /* characters that it can take, stars not counted */

/*
 * Value of net_rules: which sockets carry a migration (policy net.migration). All given conditions must hold; the
 * first rule that fits decides.
 */
struct net_rule {
	__u32 given; /* NET_RULE_*; 0: no rule */
	__u32 kind;
	__u32 port, port_last;
	__u32 mark;
	__u32 pad;
	struct net_glob process, container;
};

/* Value of net_taps; the key is the interface's index. */
struct net_tap {
	struct owner owner; /* the VM */
	__u32 macvtap; /* 1: in and out are the other way round */
	__u32 pad;
};

_Static_assert(sizeof(struct net_total) == 40, "map value");
_Static_assert(sizeof(struct net_migration_key) == 24, "map key");
_Static_assert(sizeof(struct net_migrated) == 16, "map value");
_Static_assert(sizeof(struct net_socket) == 56, "map value");
_Static_assert(sizeof(struct net_rule) == 4152, "map value");
_Static_assert(sizeof(struct net_tap) == 24, "map value");

#endif
