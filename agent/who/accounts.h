/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The owners that have counters: what they are called, whether that is shown, and who inherits their counts when they
 * have been gone for a while. A part of who (agent/who/who.h), which tells it of births and deaths.
 */
#ifndef NESTOR_ACCOUNTS_H
#define NESTOR_ACCOUNTS_H

#include "agent/who/who.h"

struct accounts;
struct looker;
struct workloads;

/* @map: who_owners. 0 or -errno. */
int accounts_open(struct env *env, struct looker *looker, struct bpf_map *map, const struct workloads *c,
		  struct accounts **ret);
void accounts_close(struct accounts *o);

void accounts_new(struct accounts *o, const struct owner *owner); /* has counters since just now */
void accounts_dead(struct accounts *o, const struct owner *owner); /* maybe none of ours */
void accounts_vm_renamed(struct accounts *o, const struct owner *vm);
void accounts_check(struct accounts *o); /* looks for those that were not told of */
/* Decides who is shown, and lets heirs have what the dead leave. */
void accounts_update(struct accounts *o);
void accounts_apply(struct accounts *o); /* policy has changed */

bool accounts_label(const struct accounts *o, const struct owner *owner, struct who_label *ret);

/* Calls @emit once for each container that is shown. */
void accounts_for_each_shown(const struct accounts *o, void (*emit)(void *data, const struct owner_info *info), void *data);

void accounts_add_counters(struct accounts *o, struct counters *t);
void accounts_remove_counters(struct counters *t);

#endif
