/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which VMs policy may name. What a process calls itself, and which program it runs, any user can choose: its user and its
 * cgroup he cannot.
 */
#ifndef NESTOR_VOUCH_H
#define NESTOR_VOUCH_H

#include "agent/policy/agent.h"
#include "agent/who/vm_scan.h"

/* What policy says of it: agent.vmm. */
struct vouch {
	__u32 uids[AGENT_VMM_USERS_MAX];
	unsigned int nr_uids;
	char *const *cgroups; /* the policy's */
	unsigned int nr_cgroups;
};

/* Names of users become numbers. */
void vouch_set(struct vouch *v, const struct agent_vmm *policy);

/* Is it in a scope that libvirt made, or root's own, in no container, or does policy name its user or its cgroup? */
bool vouch_for(const struct vouch *v, const struct vm_process *one);

#endif
