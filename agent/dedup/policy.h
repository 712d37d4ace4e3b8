/* SPDX-License-Identifier: GPL-2.0 */
/* The section dedup of the policy. */
#ifndef NESTOR_DEDUP_POLICY_H
#define NESTOR_DEDUP_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"

enum dedup_device {
	DEVICE_AUTO, /* a GPU, if there is one */
	DEVICE_PROCESSOR, /* never */
	DEVICE_ANY, /* also OpenCL that computes on the processor */
	DEVICE_CHOICES
};
/* As in the policy, and as the helper is told. */
extern const char *const dedup_device_names[DEVICE_CHOICES];

enum dedup_huge { HUGE_LEAVE, HUGE_SPLIT };

/* A domain whose members trust each other, and who is in it. */
struct dedup_target {
	char *domain;
	char *container, *vm; /* globs; exactly one is given, the other NULL */
};

struct dedup_policy {
	enum policy_mode mode;
	__u64 interval; /* nanoseconds */
	__u32 cpu; /* percent of a processor */
	__u32 max_pressure; /* percent of the time */
	enum dedup_device device; /* that hashes and sorts */
	enum dedup_huge huge;
	char *merge; /* the domain whose pages are merged, or "none" */
	struct dedup_target *targets;
	unsigned int targets_count;
};

extern const struct policy_section policy_dedup;

#endif
