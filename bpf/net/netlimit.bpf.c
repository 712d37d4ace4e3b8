// SPDX-License-Identifier: GPL-2.0
/*
 * Limits of network traffic: rates, and shares of a link, for containers (cgroups), taps of VMs, and migrations.
 *
 * A packet gets the time at which it may leave ("earliest departure time"): that of the packet before it in its lane
 * plus the time which that one takes at the lane's rate. The queueing discipline fq holds it until then. While it waits
 * it is still its socket's, so a sender that is too fast fills its socket buffer and sleeps: nothing is dropped. The
 * programs ask for each packet whether its device has fq. Where it has not, packets that come too early are dropped:
 * with the same arithmetic a token bucket. So a limit holds on any device, at once, and fq makes it smooth.
 *
 * Packets that come in are there already. Dropped alone, they would leave TCP far below the limit: they come in pieces of
 * up to 64 KiB, and at low rates one is the whole window. So they are let in up to a queue's length, as if they were
 * queued, and TCP's acknowledgements are held instead, until the time when the data would have left that queue. The
 * sender sees a slower path. What does not heed that meets the end of the queue and is dropped.
 *
 * Considered and not taken: SO_MAX_PACING_RATE by a sockops program needs no fq, but is of TCP alone, per socket and not
 * per container; a qdisc of our own in BPF (struct_ops) is of kernels newer than the floor.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/net/packet.bpf.h"
#include "bpf/net/sockets.bpf.h"
#include "bpf/net.h"
#include "bpf/netlimit.h"

#define ETH_HLEN 14
#define LOOPBACK_IFINDEX 1
#define TC_ACT_UNSPEC (-1) /* no verdict: go on with the next program */
#define TC_ACT_SHOT 2
#define CGROUP_PASS 1
/* Of a packet that comes in: drop. */
#define CGROUP_DROP_IN 0
/* Of a packet that goes out: drop, and tell the sender of congestion. The 0 would be an error in its send(). */
#define CGROUP_DROP_OUT 2

#define SECOND 1000000000ULL
#define BITS_NS (8 * SECOND) /* nanoseconds that a byte takes at 1 bit/s */

/* What happens to a packet that comes too early. */
enum means {
	HOLD, /* fq holds it, for its socket */
	QUEUE, /* fq holds it for somebody who does not notice, or its acknowledgement */
	POLICE, /* it is dropped */
};

/*
 * How far ahead of now a lane may be promised away; a packet that would have to wait longer is dropped.
 *   HOLD:   the socket's buffer is what limits. Two seconds are for many sockets at a low rate.
 *   QUEUE:  nothing slows the sender down but waiting and loss. 50 ms, but at least 128 KiB for the windows of TCP.
 *   POLICE: what may come at once after a pause. 10 ms, but at least 64 KiB, the largest piece of TCP's.
 */
static __always_inline __u64 patience(enum means means, __u64 rate)
{
	__u64 bytes, least;

	if (means == HOLD)
		return 2 * SECOND;
	bytes = means == QUEUE ? 128 << 10 : 64 << 10;
	least = means == QUEUE ? 50000000 : 10000000;
	bytes = bytes * BITS_NS / rate;
	return bytes > least ? bytes : least;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NETLIMIT_LANES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct netlimit_rule);
} netlimit_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NETLIMIT_LANES);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct netlimit_lane);
} netlimit_lanes SEC(".maps");

/* One element: bits per second that weights share; 0: none. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} netlimit_rate SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct netlimit_link);
} netlimit_link SEC(".maps");

/* Of the cgroup that the program is attached to, which may be far above the socket's own. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct netlimit_place);
} netlimit_groups SEC(".maps");

/* By the index of the interface. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct netlimit_place);
} netlimit_taps SEC(".maps");

/* ---- shares of the link ---- */

/* @number's, emptied if it holds an older one. Under the link's lock. */
static __always_inline struct netlimit_epoch *epoch_at(struct netlimit_link *link, __u32 number)
{
	struct netlimit_epoch *e = &link->epochs[number % NETLIMIT_EPOCHS];

	if (e->number != number) {
		e->number = number;
		e->weight = 0;
		e->idle_bytes = 0;
	}
	return e;
}

/* Counts @lane's weight in the epochs in which its packets wait, up to @last. Under the link's lock. */
static __always_inline void claim(struct netlimit_link *link, struct netlimit_lane *lane, __u32 weight, __u32 now, __u32 last)
{
	__u32 number = lane->until + 1;

	if ((__s32)(number - now) < 0 || number - now >= NETLIMIT_EPOCHS)
		number = now;
	for (int i = 0; i < NETLIMIT_EPOCHS - 1 && (__s32)(last - number) >= 0; i++, number++) {
		epoch_at(link, number)->weight += weight;
		lane->until = number;
	}
}

/*
 * Tells the link of bytes that @lane sent without waiting. Returns what the others told in the last epoch: its own is
 * no reason to send less.
 */
static __always_inline __u64 tell(struct netlimit_link *link, struct netlimit_lane *lane, __u32 now, __u64 idle_bytes)
{
	__u32 this = now & 1, last = !this, own = 0;
	__u64 others = epoch_at(link, now - 1)->idle_bytes;

	if (lane->told[this].epoch != now) {
		lane->told[this].epoch = now;
		lane->told[this].bytes = 0;
	}
	lane->told[this].bytes += idle_bytes;
	epoch_at(link, now)->idle_bytes += idle_bytes;
	if (lane->told[last].epoch == now - 1)
		own = lane->told[last].bytes;
	/* Another processor, whose epoch is not this one, may have emptied the link's. */
	return others > own ? others - own : 0;
}

/*
 * What @weight gives @lane: of what those leave over that do not wait, its part among those that do. The present epoch
 * has not seen all of them yet, so the last one counts if that had more. At least an eighth of the link is divided, in
 * case that the others' bytes came in bursts.
 */
static __always_inline __u64 share_of(__u64 rate, __u64 idle_bytes, __u32 weights, __u32 weight)
{
	__u64 idle = (idle_bytes * 8 * SECOND) >> NETLIMIT_EPOCH_SHIFT;
	__u64 left = idle < rate - rate / 8 ? rate - idle : rate / 8;

	return left * weight / (weights > weight ? weights : weight);
}

/*
 * Once per lane and epoch: tells the link of the lane, and the lane of its share. Not static: the verifier walks it once
 * for each program, and not once for each way there.
 */
__noinline int netlimit_share(__u32 index, __u64 rate, __u32 weight, __u64 now)
{
	__u32 zero = 0, epoch = now >> NETLIMIT_EPOCH_SHIFT, last = epoch - 1, weights, before;
	struct netlimit_link *link = bpf_map_lookup_elem(&netlimit_link, &zero);
	struct netlimit_lane *lane = bpf_map_lookup_elem(&netlimit_lanes, &index);
	__u64 idle;
	bool waits;

	if (!link || !lane)
		return 0;
	waits = weight && lane->next_ns > now;
	if (waits)
		last = lane->next_ns >> NETLIMIT_EPOCH_SHIFT;
	if ((__s32)(last - epoch) > NETLIMIT_EPOCHS - 2)
		last = epoch + NETLIMIT_EPOCHS - 2;
	if (lane->epoch == epoch && (!waits || (__s32)(last - lane->until) <= 0))
		return 0;
	lane->epoch = epoch;
	idle = __sync_fetch_and_and(&lane->idle_bytes, 0);
	bpf_spin_lock(&link->lock);
	claim(link, lane, weight, epoch, last);
	idle = tell(link, lane, epoch, idle);
	weights = epoch_at(link, epoch)->weight;
	before = epoch_at(link, epoch - 1)->weight;
	if ((__s32)(lane->until - epoch) < 0) /* it does not wait: what it would get if it did */
		weights += weight;
	bpf_spin_unlock(&link->lock);
	lane->share = share_of(rate, idle, weights > before ? weights : before, weight);
	return 0;
}

/* Bits per second that the lane may send now; 0: no limit. */
static __always_inline __u64 rate_of(__u32 index, const struct netlimit_lane *lane, const struct netlimit_rule *rule, __u64 now)
{
	__u32 zero = 0, weight = rule->weight;
	__u64 *link = bpf_map_lookup_elem(&netlimit_rate, &zero);
	__u64 rate = rule->rate, share;

	if (!link || !*link)
		return rate;
	netlimit_share(index, *link, weight, now);
	share = lane->share;
	if (weight && (!rate || share < rate))
		return share ?: 1;
	return rate;
}

/* ---- the lane ---- */

struct verdict {
	__u64 leave_ns; /* 0: now */
	bool drop;
};

/*
 * What a lane may catch up of the time that it was late: its sender, or fq's timer, did not get the processor in time.
 * 4 % of a tenth of a second.
 */
#define CREDIT_NS 4000000

/* A packet of @bytes that comes at @now: when does it leave? */
static __always_inline struct verdict enter(struct netlimit_lane *lane, const struct netlimit_rule *rule, __u64 rate,
					    enum means means, __u32 bytes, __u64 now)
{
	__u64 cost = bytes * BITS_NS / rate, most = patience(means, rate), start, wait;
	bool enforce = rule->enforce;
	struct netlimit_counts *n;
	struct verdict v = {};

	bpf_spin_lock(&lane->lock);
	n = enforce ? &lane->enforced : &lane->monitored;
	start = lane->next_ns > now - CREDIT_NS ? lane->next_ns : now - CREDIT_NS;
	wait = start > now ? start - now : 0;
	if (wait > most) {
		v.drop = true;
		n->dropped++;
	} else {
		v.leave_ns = wait ? start : 0;
		lane->next_ns = start + cost;
		n->delayed += wait && means != POLICE;
		n->packets++;
		n->bytes += bytes;
	}
	bpf_spin_unlock(&lane->lock);
	if (!v.drop && (!wait || !rule->weight))
		__sync_fetch_and_add(&lane->idle_bytes, bytes);
	return v;
}

/* @means: those at hand; @best: what is counted while nothing is enforced, as fq comes with enforcement. */
static __always_inline struct verdict limit(__u32 index, __u32 bytes, enum means means, enum means best)
{
	struct netlimit_lane *lane = bpf_map_lookup_elem(&netlimit_lanes, &index);
	struct netlimit_rule *rule = bpf_map_lookup_elem(&netlimit_rules, &index);
	struct verdict pass = {}, v;
	__u64 now, rate;

	if (!lane || !rule || (!rule->rate && !rule->weight))
		return pass;
	now = bpf_ktime_get_ns();
	rate = rate_of(index, lane, rule, now);
	if (!rate)
		return pass;
	v = enter(lane, rule, rate, rule->enforce ? means : best, bytes, now);
	return rule->enforce ? v : pass;
}

/* ---- devices ---- */

/*
 * Does the device have fq, which holds packets until their time? Its first queue speaks for all of them. For a packet
 * that comes in it is asked of the device by which the answer most likely goes out.
 */
static __always_inline bool is_fq(struct __sk_buff *ctx)
{
	const struct Qdisc_ops *ops = BPF_CORE_READ((struct sk_buff *)ctx, dev, _tx, qdisc, ops);
	char id[3] = {};

	bpf_probe_read_kernel(id, sizeof(id), ops->id);
	return id[0] == 'f' && id[1] == 'q' && !id[2];
}

/* Another limit, or TCP itself, may want it to leave later. A time far from now is of another clock. */
static __always_inline void leave_at(struct __sk_buff *skb, __u64 ns)
{
	if (skb->tstamp < ns || skb->tstamp > ns + 10 * SECOND)
		skb->tstamp = ns;
}

/* ---- acknowledgements ---- */

#define TCP_ACK 0x10
#define TCP_FLAGS 0x3f /* but those of congestion */

/* Is it TCP that acknowledges and does nothing else? @ip: offset of the IP header. */
static __always_inline bool is_ack(struct __sk_buff *skb, __u32 ip)
{
	__u32 len = packet_headers(skb, ip);
	__u8 version, doff, flags;

	if (len != skb->len - ip || len < 40 || bpf_skb_load_bytes(skb, ip, &version, 1))
		return false;
	/* Options of IP, and UDP without content, are not worth a look: the offset is wrong, and the flags do not fit. */
	ip += version >> 4 == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	return !bpf_skb_load_bytes(skb, ip + 12, &doff, 1) && !bpf_skb_load_bytes(skb, ip + 13, &flags, 1) &&
	       (flags & TCP_FLAGS) == TCP_ACK && ip + (doff >> 4) * 4 == skb->len;
}

/* What comes the other way in lane @index is acknowledged when it would have left its queue. */
static __always_inline void hold_ack(struct __sk_buff *skb, __u32 index, __u32 ip)
{
	struct netlimit_lane *lane = bpf_map_lookup_elem(&netlimit_lanes, &index);
	struct netlimit_rule *rule = bpf_map_lookup_elem(&netlimit_rules, &index);

	if (lane && rule && rule->enforce && (rule->rate || rule->weight) && lane->next_ns > bpf_ktime_get_ns() &&
	    is_ack(skb, ip))
		leave_at(skb, lane->next_ns);
}

/* ---- programs ---- */

static __always_inline __u32 frame_bytes(struct __sk_buff *skb, __u32 ip)
{
	struct packet p = packet_of(skb, ip);

	return p.bytes + p.segments * ETH_HLEN;
}

/* A packet of a socket here, which goes out. */
static __always_inline int send(struct __sk_buff *skb, __u32 slot)
{
	bool held = is_fq(skb);
	struct verdict v = limit(slot * 2 + NETLIMIT_EGRESS, frame_bytes(skb, 0), held ? HOLD : POLICE, HOLD);

	if (v.drop)
		return CGROUP_DROP_OUT;
	if (held && v.leave_ns)
		leave_at(skb, v.leave_ns);
	if (held)
		hold_ack(skb, slot * 2 + NETLIMIT_INGRESS, 0);
	return CGROUP_PASS;
}

static __always_inline int receive(struct __sk_buff *skb, __u32 slot)
{
	struct verdict v = limit(slot * 2 + NETLIMIT_INGRESS, frame_bytes(skb, 0), is_fq(skb) ? QUEUE : POLICE, QUEUE);

	return v.drop ? CGROUP_DROP_IN : CGROUP_PASS;
}

SEC("cgroup_skb/egress")
int netlimit_send(struct __sk_buff *skb)
{
	struct netlimit_place *place = bpf_get_local_storage(&netlimit_groups, 0);

	return skb->ifindex == LOOPBACK_IFINDEX ? CGROUP_PASS : send(skb, place->slot);
}

SEC("cgroup_skb/ingress")
int netlimit_recv(struct __sk_buff *skb)
{
	struct netlimit_place *place = bpf_get_local_storage(&netlimit_groups, 0);

	return skb->ifindex == LOOPBACK_IFINDEX ? CGROUP_PASS : receive(skb, place->slot);
}

/* 0: @skb's socket carries no migration. */
static __always_inline __u32 migration_slot(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct net_socket *s;

	if (skb->ifindex == LOOPBACK_IFINDEX || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	s = sk ? bpf_sk_storage_get(&net_sockets, sk, NULL, 0) : NULL;
	return s && s->kind < NET_KINDS ? NETLIMIT_SLOT_MIGRATION + s->kind : 0;
}

/* These two are attached to the root: a migration's sockets may be anywhere. */
SEC("cgroup_skb/egress")
int netlimit_mig_tx(struct __sk_buff *skb)
{
	__u32 slot = migration_slot(skb);

	return slot ? send(skb, slot) : CGROUP_PASS;
}

SEC("cgroup_skb/ingress")
int netlimit_mig_rx(struct __sk_buff *skb)
{
	__u32 slot = migration_slot(skb);

	return slot ? receive(skb, slot) : CGROUP_PASS;
}

static __always_inline __u32 tap_slot(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct netlimit_place *place = bpf_map_lookup_elem(&netlimit_taps, &ifindex);

	return place && skb->len >= ETH_HLEN ? place->slot : 0;
}

/* What a tap brings in is what its VM sends. It may leave by any device, or none, so nothing holds it but what answers. */
SEC("tc")
int netlimit_tap_tx(struct __sk_buff *skb)
{
	__u32 slot = tap_slot(skb);
	struct verdict v;

	if (!slot)
		return TC_ACT_UNSPEC;
	v = limit(slot * 2 + NETLIMIT_EGRESS, frame_bytes(skb, ETH_HLEN), is_fq(skb) ? QUEUE : POLICE, QUEUE);
	return v.drop ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int netlimit_tap_rx(struct __sk_buff *skb)
{
	__u32 slot = tap_slot(skb);
	struct verdict v;
	bool held;

	if (!slot)
		return TC_ACT_UNSPEC;
	held = is_fq(skb);
	v = limit(slot * 2 + NETLIMIT_INGRESS, frame_bytes(skb, ETH_HLEN), held ? QUEUE : POLICE, QUEUE);
	if (v.drop)
		return TC_ACT_SHOT;
	if (held && v.leave_ns)
		leave_at(skb, v.leave_ns);
	if (held)
		hold_ack(skb, slot * 2 + NETLIMIT_EGRESS, ETH_HLEN);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
