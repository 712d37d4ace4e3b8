// SPDX-License-Identifier: GPL-2.0
/*
 * net: bytes, packets and retransmissions of sockets, and bytes and packets of the taps of VMs, per owner; and the
 * bytes of those sockets that carry a migration.
 *
 * A socket belongs to the task that opened it, and one that was accepted to the listener's owner. That is remembered
 * with the socket, since packets come and go in anybody's context. Sockets that are older than the agent are found
 * through the files of all tasks (net_find); what is left counts for the cgroup v2 that the kernel keeps for it.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/lib/lost.bpf.h"
#include "bpf/lib/owner.bpf.h"
#include "bpf/net/packet.bpf.h"
#include "bpf/net/sockets.bpf.h"
#include "bpf/net.h"

#define AF_INET 2
#define AF_INET6 10
#define ETH_HLEN 14
#define ALLOW 1 /* a program of a cgroup: do not refuse it */
#define TC_ACT_UNSPEC (-1) /* no verdict: go on with the next program */

/* Of net_rules; the agent adds one after each change. 0: no rules yet. */
volatile __u32 generation = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct owner);
	__type(value, struct net_total);
} net_total SEC(".maps");

/* What owners had counted that are gone. Written by the agent alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct owner);
	__type(value, struct net_total);
} net_gone SEC(".maps");

/* Few ever migrate at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct net_migration_key);
	__type(value, struct net_migrated);
} net_migration SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct net_migration_key);
	__type(value, struct net_migrated);
} net_migr_gone SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NET_RULES_MAX);
	__type(key, __u32);
	__type(value, struct net_rule);
} net_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct net_tap);
} net_taps SEC(".maps");

/* The last packet that this CPU received for a socket that listens, if it has received none for another since. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet_head);
} net_listened SEC(".maps");

LOST_MAP(net_lost);

static const struct net_total no_total;
static const struct net_migrated not_migrated;

/* ---- counting ---- */

/* First packet of an owner. */
static __noinline struct net_total *new_total(struct owner *owner)
{
	struct owner key = *owner;

	owner_admit_or_rest(&key);
	bpf_map_update_elem(&net_total, &key, &no_total, BPF_NOEXIST);
	return bpf_map_lookup_elem(&net_total, &key);
}

static __always_inline struct net_total *total_of(struct owner *owner)
{
	struct net_total *total = bpf_map_lookup_elem(&net_total, owner);

	if (!total)
		total = new_total(owner);
	if (!total)
		lost_count(&net_lost, LOST_COUNTERS_FULL);
	return total;
}

static __always_inline void count_flow(struct net_flow *flow, struct packet p)
{
	__sync_fetch_and_add(&flow->bytes, p.bytes);
	__sync_fetch_and_add(&flow->packets, p.segments);
}

/*
 * The kernel counts per socket what it sends again, before it does: each packet tells of what came to that since the
 * one before. A tracepoint would not do: the kernel does not run its programs within themselves, and so misses some.
 */
static __always_inline void count_retransmits(struct net_total *total, struct net_socket *s, struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp;
	__u32 now;

	if (sk->type != SOCK_STREAM || sk->protocol != IPPROTO_TCP)
		return; /* the type, too: for a raw socket of TCP the helper would read something else */
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return;
	now = tcp->total_retrans;
	if (now == s->retransmits)
		return;
	if (s->retransmits != NET_RETRANSMITS_UNKNOWN)
		__sync_fetch_and_add(&total->retransmits, now - s->retransmits);
	s->retransmits = now;
}

/* ---- migrations ---- */

struct search {
	struct net_socket *socket;
	const struct owner_info *container; /* NULL: none that has a name */
	__u32 kind;
};

static __always_inline bool fits(const struct net_glob *glob, const char *text, int size)
{
	__u64 states = 1;

	for (int i = 0; i < size && text[i]; i++)
		states = (states & glob->next[(__u8)text[i]]) << 1 | (states & glob->stay);
	return states & glob->accept;
}

/* Global, as is what calls them: the verifier looks at the loop once, not on each path to it. */
__noinline int fits_process(const struct net_rule *rule, const struct net_socket *socket)
{
	return rule && socket && fits(&rule->process, socket->process, NET_COMM_MAX);
}

__noinline int fits_container(const struct net_rule *rule, const struct owner_info *info)
{
	return rule && info && fits(&rule->container, info->name, OWNER_NAME_MAX);
}

static __always_inline bool fits_port(const struct net_rule *rule, __u32 port)
{
	return port >= rule->port && port <= rule->port_last;
}

static long try_rule(__u32 i, struct search *s)
{
	struct net_rule *rule = bpf_map_lookup_elem(&net_rules, &i);
	struct net_socket *socket = s->socket;

	if (!rule || !rule->given)
		return 1; /* that was the last one */
	if (rule->given & NET_RULE_PORT && !fits_port(rule, socket->local_port) && !fits_port(rule, socket->remote_port))
		return 0;
	if (rule->given & NET_RULE_MARK && rule->mark != socket->mark)
		return 0;
	if (rule->given & NET_RULE_PROCESS && !fits_process(rule, socket))
		return 0;
	if (rule->given & NET_RULE_CONTAINER && !fits_container(rule, s->container))
		return 0;
	s->kind = rule->kind;
	return 1;
}

/* Sets @socket->kind. */
__noinline int find_kind(struct net_socket *socket)
{
	struct search s = { .socket = socket, .kind = NET_KIND_NONE };
	struct owner_info *info;
	struct owner owner;

	if (!socket)
		return 0;
	owner = socket->owner; /* 6.1 takes no key from there */
	info = bpf_map_lookup_elem(&who_owners, &owner);
	if (info && info->name[0])
		s.container = info;
	else if (socket->owner.hierarchy != OWNER_VM)
		socket->generation = 0; /* it has no name yet: to be looked at again */
	bpf_loop(NET_RULES_MAX, try_rule, &s, 0);
	socket->kind = s.kind;
	return 0;
}

/*
 * Mark and ports of a connection are set after it was opened. Volatile: the compiler must not compute addresses in
 * @sk, which the verifier refuses.
 */
static __always_inline __u32 kind_of(struct net_socket *s, const volatile struct bpf_sock *sk)
{
	__u16 local_port = sk->src_port, remote_port = bpf_ntohs(sk->dst_port);
	__u32 mark = sk->mark, now = generation;

	if (s->generation == now && s->mark == mark && s->local_port == local_port && s->remote_port == remote_port)
		return s->kind;
	s->mark = mark;
	s->local_port = local_port;
	s->remote_port = remote_port;
	s->generation = now;
	find_kind(s);
	return s->kind;
}

/* Its first packet of that kind. */
static __noinline struct net_migrated *new_migrated(struct net_migration_key *of)
{
	struct net_migration_key key = *of;

	owner_admit_or_rest(&key.owner);
	bpf_map_update_elem(&net_migration, &key, &not_migrated, BPF_NOEXIST);
	return bpf_map_lookup_elem(&net_migration, &key);
}

static __always_inline void count_migrated(struct owner *owner, __u32 kind, struct packet p, bool tx)
{
	struct net_migration_key key = { .owner = *owner, .kind = kind };
	struct net_migrated *migrated = bpf_map_lookup_elem(&net_migration, &key);

	if (!migrated)
		migrated = new_migrated(&key);
	if (migrated)
		__sync_fetch_and_add(tx ? &migrated->tx_bytes : &migrated->rx_bytes, p.bytes);
	else
		lost_count(&net_lost, LOST_COUNTERS_FULL);
}

/* ---- sockets ---- */

static __always_inline void socket_of_task(struct net_socket *s, struct task_struct *task)
{
	owner_from_task(&s->owner, task);
	bpf_probe_read_kernel_str(s->process, sizeof(s->process), task->group_leader->comm);
	s->kind = NET_KIND_NONE;
}

SEC("cgroup/sock_create")
int net_open(struct bpf_sock *sk)
{
	struct net_socket s = {};

	socket_of_task(&s, bpf_get_current_task_btf());
	bpf_sk_storage_get(&net_sockets, sk, &s, BPF_SK_STORAGE_GET_F_CREATE);
	return ALLOW;
}

/*
 * The agent runs it over all files of all tasks at its start, for sockets that are older, and over those of a new VM,
 * which may have opened some before it was known to be one.
 */
SEC("iter/task_file")
int net_find(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct net_socket *known, s = {};
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	sk = socket ? socket->sk : NULL;
	if (!sk || (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
		return 0;
	known = bpf_sk_storage_get(&net_sockets, sk, NULL, 0);
	if (known) {
		owner_from_vm(&known->owner, task);
		return 0;
	}
	socket_of_task(&s, task);
	s.retransmits = NET_RETRANSMITS_UNKNOWN;
	bpf_sk_storage_get(&net_sockets, sk, &s, BPF_SK_STORAGE_GET_F_CREATE);
	return 0;
}

static __always_inline int count_packet(struct __sk_buff *skb, bool tx)
{
	struct packet p = packet_of(skb, 0);
	struct net_socket *s, unknown = {};
	struct bpf_sock *sk = skb->sk;
	struct net_total *total;
	__u32 kind;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ALLOW;
	s = bpf_sk_storage_get(&net_sockets, sk, NULL, 0);
	if (!s) {
		unknown.owner.id = bpf_skb_cgroup_id(skb);
		unknown.kind = NET_KIND_NONE;
		unknown.retransmits = NET_RETRANSMITS_UNKNOWN;
		s = bpf_sk_storage_get(&net_sockets, sk, &unknown, BPF_SK_STORAGE_GET_F_CREATE);
	}
	if (!s) /* no memory */
		s = &unknown;
	total = total_of(&s->owner);
	if (total) {
		count_flow(tx ? &total->tx : &total->rx, p);
		if (tx)
			count_retransmits(total, s, sk);
	}
	kind = kind_of(s, sk);
	if (kind != NET_KIND_NONE)
		count_migrated(&s->owner, kind, p, tx);
	return ALLOW;
}

/*
 * A segment of a connection that is about to be accepted is first the listener's. If another CPU has made the connection
 * meanwhile, the kernel looks for a socket anew, and lets the programs see the segment once more: tcp_v4_rcv(), req_stolen.
 * Not inlined and not static: so the verifier walks it once, and does not walk what follows for each way through it.
 */
__noinline int net_seen_at_listener(struct __sk_buff *skb)
{
	struct packet_head *last, now = {};
	struct bpf_sock *sk = skb->sk;
	bool listens = sk && sk->state == BPF_TCP_LISTEN, again;
	__u32 first = 0;

	last = bpf_map_lookup_elem(&net_listened, &first);
	if (!last || (!listens && !last->bytes))
		return false;
	packet_head_of(&now, skb);
	again = !listens && packet_head_same(&now, last);
	if (!listens)
		now.bytes = 0;
	*last = now;
	return again;
}

SEC("cgroup_skb/ingress")
int net_rx(struct __sk_buff *skb)
{
	return net_seen_at_listener(skb) ? ALLOW : count_packet(skb, false);
}

SEC("cgroup_skb/egress")
int net_tx(struct __sk_buff *skb)
{
	return count_packet(skb, true);
}

/* ---- taps of VMs ---- */

static __always_inline int count_tap(struct __sk_buff *skb, bool in)
{
	__u32 ifindex = skb->ifindex;
	struct net_tap *tap = bpf_map_lookup_elem(&net_taps, &ifindex);
	struct net_total *total = tap && skb->len >= ETH_HLEN ? total_of(&tap->owner) : NULL;

	if (total) /* what comes in from a tap is what the VM sends; a macvtap is on the VM's side of the wire */
		count_flow(in != tap->macvtap ? &total->tx : &total->rx, packet_of(skb, ETH_HLEN));
	return TC_ACT_UNSPEC;
}

SEC("tc")
int net_tap_in(struct __sk_buff *skb)
{
	return count_tap(skb, true);
}

SEC("tc")
int net_tap_out(struct __sk_buff *skb)
{
	return count_tap(skb, false);
}

char LICENSE[] SEC("license") = "GPL";
