/* SPDX-License-Identifier: GPL-2.0 */
/* Files of cgroups (v2), as settings.c needs them: one value each of the kinds in enum setting_file. */
#ifndef NESTOR_CGROUP_FILE_H
#define NESTOR_CGROUP_FILE_H

#include <stdio.h>

#include "agent/steer/cgroup_values.h"

/* Once before all others. 0 or -errno, logged. */
int cgroup_file_init(void);

const char *cgroup_file_name(enum setting_file file);
const char *cgroup_file_usual(enum setting_file file); /* the value where nobody has set one */
int cgroup_file_find(const char *name, enum setting_file *ret); /* 0 or -EINVAL */

/* The number of the cgroup's directory, 0 if there is none of that path. */
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
