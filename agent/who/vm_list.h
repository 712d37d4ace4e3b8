/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMs that live now. A part of agent/who/workloads.h. The looker reads (agent/who/looker.h); nothing here waits for it: a
 * VM is born once it has been looked at, or could not be.
 *
 * When a look is asked for: at all processes at the start, at one that runs a new program, at each VM every few seconds for
 * what it opened later, and soon after news of taps. QEMU's -daemonize is two forks, of which no event tells: while a daemon
 * may come all processes are looked at every now and then.
 */
#ifndef NESTOR_VM_LIST_H
#define NESTOR_VM_LIST_H

#include "agent/who/looker.h"
#include "agent/who/vouch.h"
#include "agent/who/who.h"

#define VMS_MAX 1024 /* that are vouched for; and as many others */
#define VMS_USER_MAX 64 /* of one user, that are not vouched for */

struct vm_list;

struct vm {
	struct vm_process process;
	struct vm_look look;
	char name[OWNER_NAME_MAX]; /* no other VM's, and never empty */
	bool vouched;
};

struct vm_events {
	void (*born)(void *data, const struct workload *one); /* or one told before has changed */
	void (*gone)(void *data, const struct workload *one); /* may be followed by born(), under another name */
	void (*renamed)(void *data, __u64 id); /* after both */
	void *data;
};

/* @vms: who_vms, @any: who_any_vm. 0 or -errno, logged. */
int vm_list_open(struct env *env, struct looker *looker, struct bpf_map *vms, struct bpf_map *any,
		 const struct vm_events *events, struct vm_list **ret);
void vm_list_close(struct vm_list *l);

void vm_list_scan(struct vm_list *l); /* at all processes */
void vm_list_exec(struct vm_list *l, int pid); /* may be a VM now */
void vm_list_exit(struct vm_list *l, __u64 id); /* or a thread that worked for it */
void vm_list_vouch(struct vm_list *l, const struct agent_vmm *policy);

/* Of VM @id, or of the VM that is alone in cgroup @path; NULL: there is none. */
const struct vm *vm_list_find(const struct vm_list *l, __u64 id);
const struct vm *vm_list_alone(const struct vm_list *l, const char *path);

void vm_list_for_each(struct vm_list *l, void (*emit)(void *data, const struct vm *vm), void *data);
void vm_list_for_each_workload(struct vm_list *l, void (*emit)(void *data, const struct workload *one), void *data);
void vm_list_collect(const struct vm_list *l, struct metrics *m);

#endif
