/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The containers and VMs that live now, and the watchers who are told of them. A part of who (agent/who/who.h), which
 * tells it what the kernel tells.
 */
#ifndef NESTOR_WORKLOADS_H
#define NESTOR_WORKLOADS_H

#include "agent/who/container_name.h"
#include "agent/who/vm_scan.h"
#include "agent/who/who.h"

struct census;

/* @vms: who_vms, @any: who_any_vm. 0 or -errno, logged. */
int census_open(struct agent *a, struct bpf_map *vms, struct bpf_map *any, struct census **ret);
void census_close(struct census *c);

/* Looks at all cgroups and processes: adds who is missing, removes who is gone. */
void census_scan(struct census *c);

void census_cgroup_born(struct census *c, const struct owner *owner);
void census_cgroup_gone(struct census *c, const struct owner *owner);
void census_exec(struct census *c, int pid); /* may be a VM now */
void census_exit(struct census *c, const struct owner *vm);

/* Fills in name and path of VM @id. False: there is no such VM any more. */
bool census_name_vm(const struct census *c, __u64 id, struct owner_info *info);
/* The same of the VM that is alone in cgroup @path: what is charged to the cgroup, such as writeback, is the VM's. */
bool census_name_vms_cgroup(const struct census *c, const char *path, struct owner_info *info);

void census_watch(struct census *c, struct who_watch *watch);
void census_unwatch(struct who_watch *watch);

/* Calls @emit for each container (with its name) or for each VM. */
void census_for_each_container(struct census *c, void (*emit)(void *data, const struct container_name *name), void *data);
void census_for_each_vm(struct census *c, void (*emit)(void *data, const struct vm *vm), void *data);

#endif
