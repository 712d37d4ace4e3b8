/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the limits of block I/O: what their files share. agent/blkio/limit.c says what they are. */
#ifndef NESTOR_BLKIO_LIMIT_H
#define NESTOR_BLKIO_LIMIT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/base/env.h"
#include "agent/steer/disk.h"
#include "agent/steer/cgroup_values.h"
#include "agent/who/who.h"

#define WHY_MAX 640 /* a sentence with a path */

struct limited {
	const struct workload *one;
	unsigned int refused; /* disks */
	char *said; /* the refusal that was logged last */
	LIST_ENTRY(limited) entry;
};

struct blkio_limits {
	struct blkio *b;
	const struct blkio_limit_ops *ops;
	struct cgroup_values settings;
	struct disk_watch disks;
	struct source sweep; /* timer, runs once after somebody went */
	LIST_HEAD(, limited) ones;
	bool applied; /* from then on, who is born is limited at once */
	char why_not[WHY_MAX]; /* no limits can be set on this machine; "" if they can */
};

/* Values of io.max. */
enum { READ_BYTES, WRITE_BYTES, READ_IOS, WRITE_IOS, MAX_KINDS };
#define NO_MAX (~0ULL)

/* @text: as the file has it for one disk. */
void blkio_limit_parse_max(const char *text, __u64 max[MAX_KINDS]);

#endif
