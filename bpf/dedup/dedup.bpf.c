// SPDX-License-Identifier: GPL-2.0
/*
 * dedup: which processes are in KSM's list of those that it may merge. /proc tells that of single mappings only, takes locks
 * that a process can hold for ever, and shows nothing of a process whose first thread has ended. This takes no lock.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/dedup.h"
#include "bpf/lib/compat.bpf.h"

#define MMF_VM_MERGEABLE 16 /* 6.1 to 7.2; the agent looks for a process of its own, to see that it is right */

const volatile bool memory_v1 = false; /* tasks are known by their v1 memory cgroup */

static __u64 cgroup_of(struct task_struct *task)
{
	__u32 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css;

	if (!memory_v1)
		return BPF_CORE_READ(set, dfl_cgrp, kn, id);
	bpf_core_read(&css, sizeof(css), &set->subsys[memory]);
	return BPF_CORE_READ(css, cgroup, kn, id);
}

SEC("iter/task")
int dedup_look(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct dedup_mergeable found = {};
	struct mm_struct *mm;

	if (!task)
		return 0;
	mm = BPF_CORE_READ(task, mm);
	if (!mm || !(compat_mm_flags(mm) >> MMF_VM_MERGEABLE & 1))
		return 0;
	found.cgroup = cgroup_of(task);
	found.merged_pages = BPF_CORE_READ(mm, ksm_merging_pages);
	found.pid = BPF_CORE_READ(task, tgid);
	found.tid = BPF_CORE_READ(task, pid);
	BPF_CORE_READ_STR_INTO(&found.name, task, group_leader, comm);
	bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
