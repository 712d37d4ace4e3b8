/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The owners that have counters: what they are called, whether that is shown, and who inherits their counts when they
 * have been gone for a while. A part of who (agent/who/who.h), which tells it of births and deaths.
 */
#ifndef NESTOR_ACCOUNTS_H
#define NESTOR_ACCOUNTS_H

#include "agent/who/who.h"

struct owners;

struct census;

/* @map: who_owners. 0 or -errno. */
int owners_open(struct agent *a, struct bpf_map *map, const struct census *c, struct owners **ret);
void owners_close(struct owners *o);

void owners_new(struct owners *o, const struct owner *owner); /* has counters since just now */
void owners_dead(struct owners *o, const struct owner *owner); /* maybe none of ours */
void owners_check(struct owners *o); /* looks for those that were not told of */
/* Decides who is shown, and lets heirs have what the dead leave. */
void owners_update(struct owners *o);
void owners_apply(struct owners *o, const struct policy *p);

bool owners_label(const struct owners *o, const struct owner *owner, struct who_label *ret);

/* Calls @emit once for each container that is shown. */
void owners_for_each_shown(const struct owners *o, void (*emit)(void *data, const struct owner_info *info), void *data);

void owners_add_tally(struct owners *o, struct tally *t);
void owners_remove_tally(struct tally *t);

#endif
