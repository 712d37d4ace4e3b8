/* SPDX-License-Identifier: GPL-2.0 */
/* Files of cgroups (v2), as cgroup_values.c needs them: one value each of the kinds in enum setting_file. */
#ifndef NESTOR_CGROUP_FILE_H
#define NESTOR_CGROUP_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include <linux/types.h>

#include "agent/steer/disk.h"

#define SETTING_VALUE_MAX 160

enum setting_file {
	SETTING_CONTROLLER, /* cgroup.subtree_control: "+io" or "-io"; of no disk */
	SETTING_COST, /* io.cost.qos of the root cgroup: "enable=0" or "enable=1" */
	SETTING_MAX, /* io.max: "rbps=max wbps=max riops=max wiops=max" */
	SETTING_WEIGHT, /* io.weight: a number, or "default" */
	SETTING_BFQ_WEIGHT, /* io.bfq.weight: the same */
	SETTING_FILES
};

struct cgroup_value_id {
	enum setting_file file;
	const char *path; /* of the cgroup, from the mount */
	const struct disk *disk; /* NULL for SETTING_CONTROLLER */
};

/* Once before all others. 0 or -errno, logged. */
int cgroup_file_init(void);

const char *cgroup_file_name(enum setting_file file);
const char *cgroup_file_usual(enum setting_file file); /* the value where nobody has set one */
int cgroup_file_find(const char *name, enum setting_file *ret); /* 0 or -EINVAL */

/* The number of the cgroup's directory; 0 with errno, ENOENT if there is none of that path. */
__u64 cgroup_file_inode(const char *mount, const char *path);

/* The file @name of the cgroup, to be read. NULL with errno. */
FILE *cgroup_file_open(const char *mount, const char *path, const char *name);

/* 0 or -errno; -ENOENT: the cgroup is gone, or its parent has the io controller off. */
int cgroup_file_read(const char *mount, const struct cgroup_value_id *id, char ret_value[SETTING_VALUE_MAX]);
/* One write(2), and a look at what became of it. 0 or -errno. */
int cgroup_file_write(const char *mount, const struct cgroup_value_id *id, const char *value);

/* Has any child of the cgroup limits or weights of block I/O? */
bool cgroup_file_children_use_io(const char *mount, const char *path);

#endif
