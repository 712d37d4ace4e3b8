/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whom an event is billed to, and the maps that remember them. Every object that includes this declares the maps
 * who_*; the agent has all of them use the same ones (who_share() in agent/who/who.h).
 */
#ifndef NESTOR_BPF_LIB_OWNER_H
#define NESTOR_BPF_LIB_OWNER_H

#include "bpf/lib/compat.bpf.h"
#include "bpf/lib/lost.bpf.h"
#include "bpf/owner.h"

#define PF_KTHREAD 0x00200000

/* Owners that have counters. An owner that finds no place here is one of the rest. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct owner);
	__type(value, struct owner_info);
} who_owners SEC(".maps");

/* Thread groups that are VMs, or kernel threads that work for one; the value is the VM's id. Filled in by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} who_vms SEC(".maps");

/* Is anything in who_vms? A look here costs next to nothing, and most machines have no VMs. Set by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} who_any_vm SEC(".maps");

/* struct who_event */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} who_events SEC(".maps");

LOST_MAP(who_lost);

/*
 * On a host whose memory controller is on cgroup v1, processes are sorted there and the v2 tree is
 * empty: the agent sets this before load, and a task is then named by its v1 memory cgroup.
 */
const volatile bool owner_memory_v1 = false;

static const struct owner_info owner_unnamed;

static __always_inline void owner_tell(enum who_event_type type, __u32 pid, const struct owner *o)
{
	struct who_event event = { .type = type, .pid = pid };

	if (o)
		event.owner = *o;
	if (bpf_ringbuf_output(&who_events, &event, sizeof(event), 0))
		lost_count(&who_lost, LOST_RING_FULL); /* the agent then looks for itself */
}

/* Gives an owner counters of its own, if there is still room. For the first event of an owner, not for each. */
static __noinline bool owner_admit(struct owner *o)
{
	if (bpf_map_lookup_elem(&who_owners, o))
		return true;
	if (!bpf_map_update_elem(&who_owners, o, &owner_unnamed, BPF_NOEXIST)) {
		owner_tell(WHO_NEW_OWNER, 0, o);
		return true;
	}
	/* Full; or another CPU has just done it. */
	return bpf_map_lookup_elem(&who_owners, o) != NULL;
}

/* The same, for the key of a counter: @o becomes the rest if it gets none of its own. */
static __always_inline void owner_admit_or_rest(struct owner *o)
{
	if (o->id != OWNER_ID_NONE && !owner_admit(o))
		*o = (struct owner){ .id = OWNER_ID_REST };
}

/* For a pointer whose type the verifier knows: plain loads. */
static __always_inline void owner_from_cgroup(struct owner *o, struct cgroup *cgrp)
{
	o->id = cgrp->kn->id;
	o->hierarchy = cgrp->root->hierarchy_id;
	o->pad = 0;
}

/* The cgroup of a state of a controller; the pointer was read from memory. */
static __always_inline void owner_from_css(struct owner *o, struct cgroup_subsys_state *css)
{
	struct cgroup *cgrp;

	if (compat_can_type()) {
		owner_from_cgroup(o, compat_typed(css, struct cgroup_subsys_state)->cgroup);
		return;
	}
	cgrp = BPF_CORE_READ(css, cgroup);
	o->id = BPF_CORE_READ(cgrp, kn, id);
	o->hierarchy = BPF_CORE_READ(cgrp, root, hierarchy_id);
	o->pad = 0;
}

/* @task is a VM's process or a thread that works for one. */
static __always_inline bool owner_from_vm(struct owner *o, struct task_struct *task)
{
	__u32 tgid = task->tgid, first = 0;
	__u32 *any = bpf_map_lookup_elem(&who_any_vm, &first);
	__u64 *vm;

	if (!any || !*any)
		return false;
	vm = bpf_map_lookup_elem(&who_vms, &tgid);
	if (!vm)
		return false;
	o->id = *vm;
	o->hierarchy = OWNER_VM;
	o->pad = 0;
	return true;
}

static __always_inline void owner_from_tasks_cgroup(struct owner *o, struct task_struct *task)
{
	struct css_set *cset = compat_untrusted(task, struct task_struct)->cgroups;
	struct cgroup_subsys_state *css = NULL;
	__u32 id;

	if (!owner_memory_v1) {
		owner_from_cgroup(o, cset->dfl_cgrp);
		return;
	}
	id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	css = cset->subsys[id];
	owner_from_cgroup(o, css->cgroup);
}

/* @task as of bpf_get_current_task_btf(): its VM, else its cgroup. */
static __always_inline void owner_from_task(struct owner *o, struct task_struct *task)
{
	if (!owner_from_vm(o, task))
		owner_from_tasks_cgroup(o, task);
}

/* The memory cgroup that the folio is charged to. False: to none. */
static __always_inline bool owner_from_folio(struct owner *o, struct folio *folio)
{
	struct mem_cgroup *memcg = compat_folio_memcg(folio);

	if (!memcg)
		return false;
	owner_from_css(o, &memcg->css);
	return true;
}

#endif
