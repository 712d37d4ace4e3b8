/* SPDX-License-Identifier: GPL-2.0 */
/* Files of cgroups (v2), as settings.c needs them: one value each of the kinds in enum setting_file. */
#ifndef NESTOR_CGROUP_FILE_H
#define NESTOR_CGROUP_FILE_H

#include <stdio.h>

#include "agent/steer/cgroup_values.h"

/* Once before all others. 0 or -errno, logged. */
int cgfile_init(void);

const char *cgfile_name(enum setting_file file);
const char *cgfile_usual(enum setting_file file); /* the value where nobody has set one */
int cgfile_find(const char *name, enum setting_file *ret); /* 0 or -EINVAL */

/* The number of the cgroup's directory, 0 if there is none of that path. */
__u64 cgfile_inode(const char *mount, const char *path);

/* The file @name of the cgroup, to be read. NULL with errno. */
FILE *cgfile_open(const char *mount, const char *path, const char *name);

/* 0 or -errno; -ENOENT: the cgroup is gone, or its parent has the io controller off. */
int cgfile_read(const char *mount, const struct setting_id *id, char ret_value[SETTING_VALUE_MAX]);
/* One write(2), and a look at what became of it. 0 or -errno. */
int cgfile_write(const char *mount, const struct setting_id *id, const char *value);

/* Has any child of the cgroup limits or weights of block I/O? */
bool cgfile_children_use_io(const char *mount, const char *path);

#endif
