/* SPDX-License-Identifier: GPL-2.0 */
/* The section agent of the policy: what is no room's. */
#ifndef NESTOR_AGENT_POLICY_H
#define NESTOR_AGENT_POLICY_H

#include <linux/types.h>

#include "agent/base/bpf_stats.h"
#include "agent/lib/log.h"
#include "agent/policy/policy.h"

#define AGENT_VMM_USERS_MAX 64

/* Which VMs are vouched for, besides the system's (agent/who/vouch.h). */
struct agent_vmm {
	char **users; /* names or numbers */
	char **cgroups; /* globs of paths */
	unsigned int users_count, cgroups_count;
};

struct agent_policy {
	enum log_level log_level;
	__u32 max_containers;
	__u32 linger; /* seconds */
	__u32 min_age; /* seconds */
	char **include, **exclude; /* globs of names of containers and VMs */
	unsigned int include_count, exclude_count;
	enum bpf_stats_mode self_stats;
	struct agent_vmm vmm;
};

extern const struct policy_section policy_agent;

/* 0, or -ENOENT: @user is neither a number nor a user in /etc/passwd. No name service is asked, as that may wait. */
int agent_policy_uid(const char *user, __u32 *ret_uid);

#endif
