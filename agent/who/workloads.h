/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The containers and VMs that live now, and the watchers who are told of them. A part of who (agent/who/who.h), which
 * tells it what the kernel tells.
 */
#ifndef NESTOR_WORKLOADS_H
#define NESTOR_WORKLOADS_H

#include "agent/who/container_name.h"
#include "agent/who/who.h"

struct looker;
struct vm_list;
struct workloads;

/* @vms: who_vms, @any: who_any_vm. 0 or -errno, logged. */
int workloads_open(struct env *env, struct looker *looker, struct bpf_map *vms, struct bpf_map *any, struct workloads **ret);
void workloads_close(struct workloads *c);

/* @renamed is told of VMs whose name has changed. */
void workloads_on_renamed(struct workloads *c, void (*renamed)(void *data, const struct owner *owner), void *data);

/* Looks at all cgroups and processes: adds who is missing, removes who is gone. */
void workloads_scan(struct workloads *c);

void workloads_cgroup_born(struct workloads *c, const struct owner *owner);
void workloads_cgroup_gone(struct workloads *c, const struct owner *owner);

void workloads_collect(const struct workloads *c, struct metrics *m);
struct vm_list *workloads_vms(const struct workloads *c);

/* Fills in name and path of VM @id. False: there is no such VM any more. */
bool workloads_name_vm(const struct workloads *c, __u64 id, struct owner_info *info);
/* The same of the VM that is alone in cgroup @path: what is charged to the cgroup, such as writeback, is the VM's. */
bool workloads_name_vms_cgroup(const struct workloads *c, const char *path, struct owner_info *info);

void workloads_watch(struct workloads *c, struct who_watch *watch);
void workloads_unwatch(struct who_watch *watch);

/* Calls @emit for each container, with its name. */
void workloads_for_each_container(struct workloads *c, void (*emit)(void *data, const struct container_name *name), void *data);

#endif
