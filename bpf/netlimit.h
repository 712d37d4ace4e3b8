/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Limits of network traffic: the contract between bpf/net/netlimit.bpf.c and agent/net/limit.c. All maps are pinned, and so
 * are the links of the programs: limits hold while no agent runs.
 */
#ifndef NESTOR_BPF_NETLIMIT_H
#define NESTOR_BPF_NETLIMIT_H

/*
 * Who is limited has a slot, and a slot has two lanes. A lane is what has a rate: the index of netlimit_rules and
 * netlimit_lanes is slot * 2 + direction. The first slots are those of the kinds of migration (agent/policy/policy.h).
 */
#define NETLIMIT_SLOTS 1280 /* agent.max_containers is at most 1000 */
#define NETLIMIT_LANES (2 * NETLIMIT_SLOTS)

enum netlimit_direction { NETLIMIT_EGRESS, NETLIMIT_INGRESS };

/* Of a lane; written by the agent, in mapped memory: a number is never half of another one. */
struct netlimit_rule {
	__u64 rate; /* bits per second; 0: none of its own */
	__u32 weight; /* share of the link; 0: none */
	__u32 enforce; /* 0: count what would be done */
};

/* What became of packets. Segments of a packet that the kernel hands around as one count as one. */
struct netlimit_counts {
	__u64 packets, bytes; /* that passed; bytes are those of Ethernet frames */
	__u64 delayed, dropped; /* or would have been */
};

/* Of a lane; written by BPF. */
struct netlimit_lane {
	struct bpf_spin_lock lock; /* of all below but those that say otherwise */
	__u32 until; /* last epoch that its weight is counted in; under the link's lock */
	__u64 next_ns; /* when the next packet may leave; CLOCK_MONOTONIC */
	__u64 share; /* bits per second that its weight gives it in this epoch; written without a lock */
	__u32 epoch; /* that @share is of; written without a lock */
	__u32 pad;
	__u64 idle_bytes; /* sent without having had to wait, not told to the link yet; atomic */
	struct {
		__u32 epoch, bytes;
	} told[2]; /* of @idle_bytes, in this epoch and the last one; under the link's lock */
	struct netlimit_counts enforced, monitored;
};

/*
 * The link that weights share. Time is cut into epochs. In each one it is known which lanes have packets waiting (the sum
 * of their weights) and how much the others send, which do not use up their shares.
 */
#define NETLIMIT_EPOCH_SHIFT 23 /* of nanoseconds: 8.4 ms */
#define NETLIMIT_EPOCHS 64 /* 537 ms: how far ahead a lane that waits is counted */

struct netlimit_epoch {
	__u64 idle_bytes;
	__u32 weight;
	__u32 number;
};

struct netlimit_link {
	struct bpf_spin_lock lock; /* of the epochs */
	__u32 pad;
	struct netlimit_epoch epochs[NETLIMIT_EPOCHS];
};

/* Of a cgroup or a tap that a program is attached to. */
struct netlimit_place {
	__u32 slot; /* 0: not told yet */
};

/* Slot 0 is nobody's. */
#define NETLIMIT_SLOT_MIGRATION 1
#define NETLIMIT_SLOT_FIRST 8

_Static_assert(sizeof(struct netlimit_rule) == 16, "map value");
_Static_assert(sizeof(struct netlimit_lane) == 120, "map value");
_Static_assert(sizeof(struct netlimit_link) == 8 + 16 * NETLIMIT_EPOCHS, "map value");

#endif
