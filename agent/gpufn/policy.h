/* SPDX-License-Identifier: GPL-2.0 */
/* The section gpufn of the policy. */
#ifndef NESTOR_GPUFN_POLICY_H
#define NESTOR_GPUFN_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"
#include "gpu/sched/sched.h"
#include "gpu/sched/shares.h"

/* Who may call GPU functions: containers, or a user's processes that are in none. */
struct gpufn_tenant {
	char *container, *user; /* a glob of names; a user's name or number */
	char *name; /* what all that it fits are called together; NULL: each for itself */
	__u32 weight; /* 1 to 10000; 0: not given, 1 */
	__u32 priority; /* the highest that a call may ask for, 0 to 3 */
	__u64 memory; /* bytes; 0: not given, gpufn.memory */
	__u32 queue; /* calls; 0: not given, gpufn.queue */
};

struct gpufn_policy {
	enum policy_mode mode;
	char *functions; /* directory, or "auto" */
	char *cache; /* directory, for what compilers make */
	char *socket; /* path, or "auto" */
	enum shares_rule share;
	enum sched_rule rule;
	__u64 slice_limit; /* nanoseconds */
	__u64 memory; /* bytes that a tenant's calls may have at a time */
	__u64 memory_all; /* bytes that all calls may have at a time; 0: half of the machine's memory */
	__u32 queue; /* calls that it may have at a time */
	struct gpufn_tenant *tenants;
	unsigned int tenants_count;
};

extern const struct policy_section policy_gpufn;

#endif
