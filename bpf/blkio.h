/* SPDX-License-Identifier: GPL-2.0 */
/*
 * blkio: the contract between the BPF programs and the agent.
 *
 * The structs below are keys and values of pinned maps: a change of one gives the pin a new name
 * (see agent/base/bpfobj.c) and the counters start anew.
 */
#ifndef NESTOR_BPF_BLKIO_H
#define NESTOR_BPF_BLKIO_H

#include "bpf/hist.h"
#include "bpf/owner.h"
#include "bpf/slot.h"

/* What an I/O does; label "op". */
enum blkio_op {
	BLKIO_READ,
	BLKIO_WRITE,
	BLKIO_DISCARD, /* discard and secure erase */
	BLKIO_WRITE_ZEROES,
	BLKIO_FLUSH,
	BLKIO_OTHER, /* zone operations */
	BLKIO_OPS
};

/* How the owner of an I/O was found; label "source" of nestor_blkio_owner_total. */
enum blkio_source {
	BLKIO_SOURCE_BLKCG, /* the bio's blkcg, where that is a leaf */
	BLKIO_SOURCE_FOLIO, /* a kernel thread's I/O: memory cgroup of its first folio */
	BLKIO_SOURCE_TASK, /* the task that submitted it, or the VM that this is a thread of */
	BLKIO_SOURCE_NONE, /* a flush, which is nobody's, or nothing told */
	BLKIO_SOURCES
};

/* Key of blkio_total: one owner's I/O of one kind on one device. */
struct blkio_key {
	struct owner owner;
	__u32 dev; /* kernel encoding: major << 20 | minor */
	__u8 op; /* enum blkio_op */
	__u8 source; /* enum blkio_source */
	__u8 lower; /* 1: part of an I/O already counted at a device above (dm, md) */
	__u8 bios; /* 1: the device takes bios and has no requests: all of the time is the device's */
};

/* The sums come first: in a place they lie in the cache line of the key. */
struct blkio_total {
	__u64 bytes; /* moved by I/Os that succeeded */
	__u64 latency_ns, queue_ns, device_ns; /* all times of these histograms added up */
	__u64 errors; /* I/Os that failed */
	struct hist latency; /* submission to completion; its slots add up to the number of I/Os */
	struct hist queue; /* submission to issue to the driver; not of a device that takes bios */
	struct hist device; /* last issue to completion; not of a device that takes bios */
};

struct blkio_disk {
	char name[32]; /* gendisk.disk_name */
};

#define BLKIO_INFLIGHT_PLACES 32768 /* a power of two */
#define BLKIO_INFLIGHT_PAGE 64 /* places of a page of memory */
#define BLKIO_INFLIGHT_PAGES (BLKIO_INFLIGHT_PLACES / BLKIO_INFLIGHT_PAGE)

/* An I/O that was submitted and has not ended: a request, or a bio of a device without requests. */
struct blkio_inflight {
	__u64 id; /* made of its address; 0: free */
	__u64 start_ns;
	__u64 issue_ns; /* 0: not issued yet */
	struct owner owner;
	__u32 bytes; /* bio: its size; request: completed so far */
	__u32 guests; /* others' that should be here and are elsewhere */
	__u8 source; /* enum blkio_source */
	__u8 lower;
	__u8 failed;
	__u8 pad[13]; /* to a cache line */
};

/* Element of blkio_total. */
struct blkio_place {
	__u64 state; /* enum blkio_place_state */
	struct blkio_key key;
	struct blkio_total total;
};

#define BLKIO_PLACES 8192 /* a power of two */

/* Key of blkio_watch: whose I/O on which device a latency target is for. Written by the agent. */
struct blkio_watch_key {
	struct owner owner;
	__u32 dev;
	__u32 pad;
};

#define BLKIO_WATCH_STEPS 8 /* slots that a target is divided into */
#define BLKIO_WATCH_SLOTS 65 /* the last: eight times the target and more */

struct blkio_watch {
	__u64 target_ns;
	__u64 slots[BLKIO_WATCH_SLOTS]; /* I/Os by latency, in eighths of the target */
};

/* Value of blkio_watched; the key is the address of the bio. */
struct blkio_watched {
	struct blkio_watch_key key;
	__u64 start_ns; /* submission, before it waits for a request */
};

_Static_assert(sizeof(struct blkio_key) == 24, "map key");
_Static_assert(sizeof(struct blkio_total) == 736, "map value");
_Static_assert(sizeof(struct blkio_place) == 768, "cache lines");
_Static_assert(sizeof(struct blkio_disk) == 32, "map value");
_Static_assert(sizeof(struct blkio_inflight) == 64, "a cache line");
_Static_assert(sizeof(struct blkio_watch_key) == 24, "map key");
_Static_assert(sizeof(struct blkio_watch) == 528, "map value");
_Static_assert(sizeof(struct blkio_watched) == 32, "map value");

#endif
