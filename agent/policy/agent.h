/* SPDX-License-Identifier: GPL-2.0 */
/* The section agent of the policy: what is no room's. */
#ifndef NESTOR_AGENT_POLICY_H
#define NESTOR_AGENT_POLICY_H

#include <linux/types.h>

#include "agent/base/bpf_stats.h"
#include "agent/lib/log.h"
#include "agent/policy/policy.h"

struct agent_policy {
	enum log_level log_level;
	__u32 max_containers;
	__u32 linger; /* seconds */
	__u32 min_age; /* seconds */
	char **include, **exclude; /* globs of names of containers and VMs */
	unsigned int include_count, exclude_count;
	enum bpf_stats_mode self_stats;
};

extern const struct policy_section policy_agent;

#endif
