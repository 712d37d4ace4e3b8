/* SPDX-License-Identifier: GPL-2.0 */
/* The section blkio of the policy. */
#ifndef NESTOR_BLKIO_POLICY_H
#define NESTOR_BLKIO_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"

/*
 * Whom a rule is for: containers or VMs by the globs of their names (fnmatch(3)), NULL where not given. Exactly one of
 * the two is.
 */

/* Limits of block I/O on one disk; 0: none. */
struct blkio_limit {
	char *container, *vm;
	char *device; /* name of a whole disk: vda */
	__u64 read, write; /* bytes per second */
	__u64 read_iops, write_iops;
	__u32 weight; /* 1 to 10000 */
};

/* A latency to be kept by lowering the limits of all others on that disk. */
struct blkio_target {
	char *container, *vm;
	char *device;
	__u64 p99; /* nanoseconds */
};

struct blkio_policy {
	enum policy_mode mode;
	struct blkio_limit *limits;
	struct blkio_target *targets;
	unsigned int limits_count, targets_count;
};

extern const struct policy_section policy_blkio;

#endif
