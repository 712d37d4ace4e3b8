/* SPDX-License-Identifier: GPL-2.0 */
/* The file in which settings are remembered, and what settings.c and agent/steer/cgroup_journal.c share. */
#ifndef NESTOR_CGROUP_JOURNAL_H
#define NESTOR_CGROUP_JOURNAL_H

#include "agent/steer/cgroup_values.h"

struct cgroup_value *cgroup_journal_add(struct cgroup_values *set,
					const struct cgroup_value_id *id); /* at the end; NULL: no memory */

/* 0, also if there is no file, or -errno, logged. */
int cgroup_journal_load(struct cgroup_values *set);
/* Adds @s to the file, or what has changed of it. 0 or -errno, logged. */
int cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s);
/* Writes the file anew, or removes it if there is nothing to remember. Logs if it cannot: the old one then stays. */
void cgroup_journal_save(struct cgroup_values *set);

#endif
