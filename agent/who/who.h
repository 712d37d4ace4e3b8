/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who is who: the machine's containers and VMs. BPF counts per owner, a number; here owners have names, are born
 * and die, and those that limits are for are told to the rooms that steer.
 *
 * All calls come from the agent's one thread.
 */
#ifndef NESTOR_WHO_H
#define NESTOR_WHO_H

#include <stdbool.h>
#include <sys/queue.h>

#include <jansson.h>

#include "bpf/owner.h"

struct env;
struct bpf_object;
struct metrics;
struct counters;
struct who;

#define WHO_OTHER "~other"

/* 0 or -errno, logged. Before any room starts: rooms share its maps. */
int who_start(struct env *env, struct who **ret);
void who_stop(struct who *w);
void who_vouch(struct who *w); /* policy has changed: which VMs it may name, before rooms go by it */
void who_apply(struct who *w); /* policy has changed: once the rooms that count are known */
void who_collect(struct who *w, struct metrics *m);
json_t *who_show_containers(struct who *w); /* a new reference */
json_t *who_show_vms(struct who *w);

/* Before @obj is loaded: the maps who_* that it declares become those of @w. 0 or -errno, logged. */
int who_share(struct who *w, struct bpf_object *obj);

/* ---- names of counters ---- */

/*
 * Hears what has happened since: who was born, who is gone. Called once before rooms collect or show: names first, then
 * what was counted before has one, and all families of one scrape tell of the same containers.
 */
void who_update(struct who *w);

struct who_label {
	const char *vm, *container; /* "" where there is none */
};

/* Of what @o counted. False: not to be shown (yet). Valid until the loop runs again. */
bool who_label(struct who *w, const struct owner *o, struct who_label *ret);

/* @t's counts of owners that are gone move on to their heirs, from now on until the tally is removed. */
void who_add_counters(struct who *w, struct counters *t);
void who_remove_counters(struct who *w, struct counters *t);

/* ---- those that can be limited ---- */

/*
 * One that policy may name: a container of the cgroup v2 hierarchy (or of the hierarchy of the memory controller on a
 * v1 host), or a VM. Rooms compare pointers, and read; they belong to who.
 */
struct workload {
	const char *vm; /* "" for a container */
	const char *container; /* "" for a VM */
	const char *path; /* cgroup's, from the mount; of a VM that of its process */
	int pid; /* of a VM, else 0 */
	bool vouched; /* of a VM: it may be named by policy (agent/who/vouch.h) */
	const unsigned int *taps; /* of a VM: interface indexes in the host's network namespace, ended by 0; else NULL */
};

struct who_watch {
	void (*born)(void *data, const struct workload *one); /* or one told before has changed, such as a VM its taps */
	void (*gone)(void *data, const struct workload *one); /* its cgroup or process is no more; pointer dies after */
	void *data;
	LIST_ENTRY(who_watch) entry;
};

/* Calls born() for all that are there, and from then on as they come. */
void who_watch(struct who *w, struct who_watch *watch);
void who_unwatch(struct who *w, struct who_watch *watch);

/* Does a policy's glob name it, and may it? @container and @vm: globs or NULL; at least one is given. */
bool who_matches(const struct workload *one, const char *container, const char *vm);

bool who_has_tap(const struct workload *vm, unsigned int ifindex);

#endif
