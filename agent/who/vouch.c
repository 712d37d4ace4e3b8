// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <string.h>

#include "agent/who/container_name.h"
#include "agent/who/vouch.h"

/* A container has a PID namespace of its own, or at least a cgroup that is called as runtimes do. */
static bool is_in_container(const struct vm_process *one)
{
	struct container_name name;

	container_name(NULL, one->path, NULL, &name);
	return !one->ours || (strcmp(name.runtime, "systemd") != 0 && strcmp(name.runtime, "path") != 0) || name.short_id[0];
}

static bool is_roots(const struct vm_process *one)
{
	return one->one_uid && !one->uid && !is_in_container(one);
}

static bool is_named(const struct vouch *v, const struct vm_process *one)
{
	for (unsigned int i = 0; i < v->nr_uids; i++)
		if (one->one_uid && one->ours && v->uids[i] == one->uid)
			return true;
	for (unsigned int i = 0; i < v->nr_cgroups; i++)
		if (!fnmatch(v->cgroups[i], one->path, FNM_LEADING_DIR))
			return true;
	return false;
}

bool vouch_for(const struct vouch *v, const struct vm_process *one)
{
	return vm_is_in_machine(one->path) || is_roots(one) || is_named(v, one);
}

void vouch_set(struct vouch *v, const struct agent_vmm *policy)
{
	*v = (struct vouch){ .cgroups = policy->cgroups, .nr_cgroups = policy->cgroups_count };
	for (unsigned int i = 0; i < policy->users_count && i < AGENT_VMM_USERS_MAX; i++)
		v->nr_uids += !agent_policy_uid(policy->users[i], &v->uids[v->nr_uids]);
}
