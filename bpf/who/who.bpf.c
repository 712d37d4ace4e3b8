// SPDX-License-Identifier: GPL-2.0
/*
 * who: tells the agent at once of cgroups that are made and removed, and of processes that may be VMs. The maps that
 * all rooms share are declared in bpf/lib/owner.bpf.h.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/lib/owner.bpf.h"

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(who_cgroup_mkdir, struct cgroup *cgrp, const char *path)
{
	struct owner o;

	owner_from_cgroup(&o, cgrp);
	owner_tell(WHO_CGROUP_BORN, 0, &o);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(who_cgroup_rmdir, struct cgroup *cgrp, const char *path)
{
	struct owner o;

	owner_from_cgroup(&o, cgrp);
	owner_tell(WHO_CGROUP_GONE, 0, &o);
	return 0;
}

static __always_inline bool begins_with(const char *text, const char *prefix, int len)
{
	for (int i = 0; i < len; i++)
		if (text[i] != prefix[i])
			return false;
	return true;
}

/* The beginnings of VMMs' names; the agent looks closer (agent/who/vm_scan.c). */
#define MAY_BE(comm, prefix) begins_with(comm, prefix, sizeof(prefix) - 1)

SEC("tp_btf/sched_process_exec")
int BPF_PROG(who_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	char comm[TASK_COMM_LEN];

	bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
	if (MAY_BE(comm, "qemu-system-") || MAY_BE(comm, "qemu-kvm") || MAY_BE(comm, "kvm") || MAY_BE(comm, "cloud-hyp") ||
	    MAY_BE(comm, "firecrack"))
		owner_tell(WHO_VM_EXEC, task->tgid, NULL);
	return 0;
}

/* The number of a process may soon be another's: out it goes, before the agent hears of it. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(who_exit, struct task_struct *task)
{
	struct owner o = { .hierarchy = OWNER_VM };
	__u32 tgid = task->tgid;
	__u64 *vm;

	if (task->signal->live.counter) /* threads that are left, without this one */
		return 0;
	vm = bpf_map_lookup_elem(&who_vms, &tgid); /* whether who_any_vm or not: a helper may outlive the last VM */
	if (!vm)
		return 0;
	o.id = *vm;
	bpf_map_delete_elem(&who_vms, &tgid);
	owner_tell(WHO_VM_EXIT, tgid, &o);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
