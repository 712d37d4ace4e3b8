/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Values in files of cgroups that Nestor sets: a line for one disk in io.max, io.weight, io.bfq.weight or
 * io.cost.qos, or the io controller in cgroup.subtree_control. Each is remembered in a file of the run directory
 * before it is first written, with the value that it had, so that it can be put back exactly, also by a later agent.
 * What somebody else changed meanwhile is left as it is; what cannot be put back stays remembered, and is tried again
 * in each pass and by each later agent. Values are written through libcgroup.
 *
 * A pass over all that policy wants is cgroup_values_begin(), cgroup_values_want() for each, cgroup_values_end(): the last puts
 * back those that are no longer wanted. What is wanted as it is already is not written.
 */
#ifndef NESTOR_CGROUP_VALUES_H
#define NESTOR_CGROUP_VALUES_H

#include <stdbool.h>
#include <sys/queue.h>

#include <linux/types.h>

#include "agent/steer/cgroup_journal.h"

/* Reads what an earlier agent has left in @run_dir. 0 or -errno, logged. */
int cgroup_values_open(struct cgroup_values *s, const char *mount, int run_dir);
/* Forgets, in memory only: what is set stays set, and remembered. */
void cgroup_values_close(struct cgroup_values *s);

void cgroup_values_begin(struct cgroup_values *s);
void cgroup_values_end(struct cgroup_values *s);

/* Sets @id to @value if it is not. The first wish of a pass counts. 0 or -errno, not logged. */
int cgroup_values_want(struct cgroup_values *s, const struct cgroup_value_id *id, const char *value, const void *tag);

/* @tag's user is gone: its settings are nobody's until the next pass. False: it has none. */
bool cgroup_values_untag(struct cgroup_values *s, const void *tag);

/* The value that @id has without Nestor. 0 or -errno. */
int cgroup_values_former(const struct cgroup_values *s, const struct cgroup_value_id *id, char ret_value[SETTING_VALUE_MAX]);

/* Put back one, or all. What is in a cgroup that is gone is forgotten, what cannot be put back is not. */
void cgroup_values_drop(struct cgroup_values *s, const struct cgroup_value_id *id);
void cgroup_values_drop_all(struct cgroup_values *s);

/*
 * Puts back all that is remembered in @run_dir, whose settings nobody has open: policy has steering off, or no agent
 * runs. 0 (also if there is nothing) or -errno, logged.
 */
int cgroup_values_undo(int run_dir, unsigned int *ret_restored);

#endif
