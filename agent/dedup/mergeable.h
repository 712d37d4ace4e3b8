/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which processes are in KSM's list of those that it may merge: those that have told it of memory, by madvise(2) or prctl(2),
 * and what they have forked since. Some of them have no mergeable memory any more, but may have again without being seen.
 */
#ifndef NESTOR_DEDUP_MERGEABLE_H
#define NESTOR_DEDUP_MERGEABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "bpf/dedup.h"

struct mergeable;

/*
 * Has our own process tell KSM of a page, which is merged with nothing, and holds it in the list until it ends; so it is seen
 * whether the kernel is read rightly. @memory_v1: processes are known by their v1 memory cgroups. Needs CAP_SYS_ADMIN. 0, or
 * -errno, logged.
 */
int mergeable_open(bool memory_v1, struct mergeable **ret);
void mergeable_close(struct mergeable *m);

/*
 * All of them but our own, a process as often as it has threads; milliseconds for a thousand. Takes no lock that a process can
 * hold. *@ret is to be freed. 0, or -errno, logged.
 */
int mergeable_look(const struct mergeable *m, struct dedup_mergeable **ret, size_t *ret_n);

#endif
