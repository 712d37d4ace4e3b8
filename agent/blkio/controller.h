/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of the room blkio: the contest for one disk between guards, whose latency has a target, and others, who are
 * lowered for it. Plain computing over what was measured: agent/blkio/target.c measures, and does what comes of it.
 */
#ifndef NESTOR_BLKIO_CONTROLLER_H
#define NESTOR_BLKIO_CONTROLLER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/steer/disk.h"
#include "agent/who/who.h"
#include "bpf/blkio.h"

#define CONTEST_TICK_NS (250ULL * 1000000)

struct watch;

struct guard {
	const struct workload *one;
	__u64 target_ns;
	__u64 p99_ns; /* at the last verdict; 0: no I/O */
	__u64 window[BLKIO_WATCH_SLOTS]; /* I/Os since then, by latency in eighths of the target */
	bool wanted, stale;
	LIST_HEAD(, watch) watches;
	LIST_ENTRY(guard) entry;
};

/* Reads [0] or writes [1]. */
struct side {
	__u64 cap; /* bytes per second at most; BLKIO_NO_CAP: not lowered */
	__u64 free; /* what it did before it was lowered */
	__u64 rate; /* what it does, bytes per second, smoothed */
	__u64 bytes; /* as io.stat had it last */
};

struct other {
	const struct workload *one;
	struct side side[2];
	__u64 measured_ns; /* 0: not yet */
	bool wanted, changed; /* changed: by the last verdict */
	LIST_ENTRY(other) entry;
};

struct controller {
	char device[DISK_NAME_MAX];
	struct disk disk; /* no name: it is not there */
	LIST_HEAD(, guard) guards;
	LIST_HEAD(, other) others;
	unsigned int age; /* of the window, in ticks */
	unsigned int settle; /* ticks that pass before the next window begins */
	unsigned int good; /* windows with room, one after another */
	unsigned int patience; /* that many before others are raised */
	bool raised; /* last */
	LIST_ENTRY(controller) entry;
};

LIST_HEAD(contest_list, controller);

struct contest_counts {
	unsigned long long lowered, raised; /* sides */
	unsigned long long monitored; /* verdicts that would have lowered others */
};

/* @o has done @bytes in all at @now_ns. */
void controller_measured(struct other *o, const __u64 bytes[2], __u64 now_ns);

/* A tick is over, and all is measured. True if that ended the window: others may be changed then, where @enforce. */
bool controller_tick(struct controller *c, bool enforce, struct contest_counts *counts);

/* @o has caps that an earlier agent left. */
void controller_adopt(struct other *o);
/* Nobody is lowered any more. */
void controller_release(struct controller *c);

unsigned int controller_lowered(const struct controller *c); /* others that are */

#endif
