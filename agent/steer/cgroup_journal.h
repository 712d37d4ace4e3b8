/* SPDX-License-Identifier: GPL-2.0 */
/* The values of cgroup files that Nestor has set: the list of them, and the file in which it is remembered. */
#ifndef NESTOR_CGROUP_JOURNAL_H
#define NESTOR_CGROUP_JOURNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/steer/cgroup_file.h"

#define SETTINGS_FILE "settings.json"

struct cgroup_value {
	enum setting_file file;
	char *path;
	__u64 inode; /* of the cgroup: another of that path is not the one that was set */
	struct disk disk; /* all zero: none */
	char former[SETTING_VALUE_MAX]; /* before Nestor */
	char now[SETTING_VALUE_MAX]; /* what Nestor set last, or tried to */
	char before[SETTING_VALUE_MAX]; /* what was in force before that: the write may have failed, or the agent died before it
					 */
	bool stuck; /* it could not be put back, which was logged */
	bool dry; /* monitored: nothing is written, and nothing remembered on disk */
	unsigned int pass; /* the last one that wanted it */
	const void *tag; /* the user's */
	TAILQ_ENTRY(cgroup_value) entry;
};

enum setting_action { SETTING_SET, SETTING_RESTORE, SETTING_ACTIONS };
enum setting_result { SETTING_DONE, SETTING_MONITORED, SETTING_FAILED, SETTING_RESULTS };

struct cgroup_values {
	char mount[128]; /* of cgroup v2 */
	int run_dir; /* not owned */
	bool dry; /* from now on, cgroup_values_want() only counts what it would do */
	bool in_pass;
	bool unsaved; /* the file still has what is put back */
	unsigned int pass;
	unsigned int lines; /* of the file: more than settings, until it is written anew */
	TAILQ_HEAD(setting_list, cgroup_value) list; /* in the order they were made, to be undone in the reverse order */
	unsigned long long counts[SETTING_ACTIONS][SETTING_RESULTS];
};

/* What was set of @id, also by an earlier agent, or with @dry would have been; NULL: nothing. */
struct cgroup_value *cgroup_journal_find(const struct cgroup_values *s, const struct cgroup_value_id *id, bool dry);
struct cgroup_value *cgroup_journal_add(struct cgroup_values *set,
					const struct cgroup_value_id *id); /* at the end; NULL: no memory */

/* 0, also if there is no file, or -errno, logged. */
int cgroup_journal_load(struct cgroup_values *set);
/* Adds @s to the file, or what has changed of it. 0 or -errno, logged. */
int cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s);
/* Writes the file anew, or removes it if there is nothing to remember. Logs if it cannot: the old one then stays. */
void cgroup_journal_save(struct cgroup_values *set);

#endif
