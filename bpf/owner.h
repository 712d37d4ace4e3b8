/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who an event is billed to, and what is known of him: the contract between BPF and agent that all rooms share.
 * The maps (bpf/lib/owner.bpf.h) belong to bpf/who/who.bpf.c and agent/who/who.c; a change of a struct here gives their
 * pins new names, and the counters start anew.
 */
#ifndef NESTOR_BPF_OWNER_H
#define NESTOR_BPF_OWNER_H

/*
 * A cgroup, or a VM. Ids of cgroups are unique within one hierarchy only; hierarchy 0 is cgroup v2.
 * Every counter that is kept per owner has a key that begins with this struct (agent/who/counter_maps.h).
 */
struct owner {
	__u64 id; /* cgroup: kernfs id, the inode number of its directory; VM: value of who_vms */
	__u32 hierarchy; /* as in /proc/cgroups, 0 for v2; OWNER_VM */
	__u32 pad;
};

#define OWNER_VM 0xffffffffU /* hierarchy of VMs */
#define OWNER_ID_NONE 0ULL /* nobody: a flush, a packet without socket */
#define OWNER_ID_REST (~0ULL) /* all those that have no counters of their own; hierarchy 0 */

/* What the counters of an owner are shown as. */
enum owner_showing {
	OWNER_NEW, /* not decided yet: nothing is shown */
	OWNER_SHOWN, /* under its name */
	OWNER_REST, /* in container="~other" */
};

#define OWNER_PATH_MAX 504
#define OWNER_NAME_MAX 192
#define OWNER_RUNTIME_MAX 16
#define OWNER_SHORT_ID_MAX 16

/* Value of who_owners: BPF admits an owner with an empty name, the agent fills it in. */
struct owner_info {
	__u64 dead_since_ns; /* CLOCK_MONOTONIC when the cgroup or process was found gone, else 0 */
	__u32 state; /* enum owner_showing */
	__u32 pad;
	char vm[OWNER_NAME_MAX]; /* "" for a container of this machine */
	char name[OWNER_NAME_MAX]; /* the container's; "" for a VM */
	char runtime[OWNER_RUNTIME_MAX]; /* docker, podman, systemd, …, or path */
	char short_id[OWNER_SHORT_ID_MAX]; /* first 12 digits of the runtime's id, or "" */
	char path[OWNER_PATH_MAX]; /* of the container's cgroup, from the mount; "/" is the root. Of a VM: its process' */
};

/* Records of who_events. */
enum who_event_type {
	WHO_NEW_OWNER, /* has counters now */
	WHO_CGROUP_BORN,
	WHO_CGROUP_GONE,
	WHO_VM_EXEC, /* pid runs a program that may be a VMM */
	WHO_VM_EXIT, /* pid was in who_vms, and is no longer */
};

struct who_event {
	__u32 type; /* enum who_event_type */
	__u32 pid; /* of the VM events: thread group */
	struct owner owner; /* of the others; and of WHO_VM_EXIT */
};

_Static_assert(sizeof(struct owner) == 16, "map key");
_Static_assert(sizeof(struct owner_info) == 936, "map value");
_Static_assert(sizeof(struct who_event) == 24, "ring record");

#endif
