/* SPDX-License-Identifier: GPL-2.0 */
/* Is anybody in KSM's list who is not of a round's domain? */
#ifndef NESTOR_DEDUP_OUTSIDERS_H
#define NESTOR_DEDUP_OUTSIDERS_H

#include "agent/dedup/round.h"

struct outsiders;

/* @r stays as it is meanwhile. Needs CAP_SYS_ADMIN. 0, or -errno, logged. */
int outsiders_open(const struct dedup_round *r, struct outsiders **ret);
void outsiders_close(struct outsiders *o);

/*
 * Who is of the domain is found anew each time, by the cgroup that a process is in at that moment. *@ret_found: is there
 * somebody else? 0 or -errno, logged.
 */
int outsiders_look(struct outsiders *o, bool *ret_found);
/* The same, but -EPERM, logged, if there is. */
int outsiders_refuse(struct outsiders *o);

/* Of whom the last look has found: had one pages that are merged, with whomever? */
bool outsiders_are_merged(const struct outsiders *o);
/*
 * Has one mergeable memory now, or may not be looked at? Others are in the list only until ksmd comes by. Waits for processes
 * that hold their memory map: dedup_reading_since() tells of whom.
 */
bool outsiders_have_mergeable(const struct outsiders *o);

#endif
