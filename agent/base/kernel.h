/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about the running kernel, found once. A feature that is off for lack of one says which. */
#ifndef NESTOR_KERNEL_H
#define NESTOR_KERNEL_H

#include <mntent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <linux/types.h>

#define HIERARCHIES_MAX 32

/* A mounted cgroup hierarchy. */
struct hierarchy {
	__u32 id; /* 0: cgroup v2 */
	int mount_fd;
	char mount[128];
};

/*
 * A directory of cgroups may be a user's, as systemd's Delegate= with User= makes it. That user makes the cgroups in it, and
 * gives them any name.
 */
struct cgroup_user {
	__u32 uid; /* 0: all directories on the path are root's */
	__u32 from; /* the length of the path of the first directory that is not root's */
};

struct kernel {
	struct utsname uts;
	struct btf *btf; /* of vmlinux; NULL after kernel_drop_btf() */
	struct hierarchy hierarchies[HIERARCHIES_MAX];
	unsigned int nr_hierarchies;
	bool memory_v1; /* the memory controller is on a v1 hierarchy */
	__u32 task_hierarchy; /* that tasks are known by: v2, or where memory_v1 the memory controller's */
};

/* 0, or -errno after one sentence that says what is missing. */
int kernel_probe(struct kernel *k);
/* Gives up all capabilities but those that are needed from now on. 0 or -errno, logged. */
int kernel_keep_needed(void);
void kernel_drop_btf(struct kernel *k); /* some 10 MiB */
void kernel_close(struct kernel *k);

/* Is there a raw tracepoint of that name that BTF describes? Needs k->btf. */
bool kernel_has_tracepoint(const struct kernel *k, const char *name);

/* Does the kernel itself, without its modules, have that struct? Needs k->btf. */
bool kernel_has_struct(const struct kernel *k, const char *name);

/* Limits need Linux 6.12: that is what they were tested on. */
bool kernel_can_limit(const struct kernel *k);

/* NULL if it is not mounted here. @id 0: cgroup v2 */
const struct hierarchy *kernel_hierarchy(const struct kernel *k, __u32 id);
const struct hierarchy *kernel_task_hierarchy(const struct kernel *k);

/* "v2", "hybrid" (v1 with an empty v2 tree) or "v1" */
const char *kernel_cgroup_mode(const struct kernel *k);

/*
 * Opens cgroup @id of @hierarchy, just as a path (O_PATH), and tells what fstat() does. The descriptor, -ESTALE if it is
 * gone, -ENOTCONN if that hierarchy is not mounted here. Needs CAP_DAC_READ_SEARCH.
 */
int kernel_open_cgroup(const struct kernel *k, __u32 hierarchy, __u64 id, struct stat *ret);

/*
 * Path of cgroup @id within @hierarchy, "/" for its root. 0, or as above.
 */
int kernel_cgroup_path(const struct kernel *k, __u32 hierarchy, __u64 id, char *path, size_t size);

/* Whose directories cgroup @path, from the mount of @hierarchy, is in. The cgroup's own owner does not matter. */
struct cgroup_user kernel_cgroup_user(const struct kernel *k, __u32 hierarchy, const char *path);

/*
 * @line of /proc/self/cgroup, "id:controllers:/path": is it of the v1 hierarchy that is mounted with @mount's options? Its id
 * then goes to *@ret_id. For tests, too.
 */
bool kernel_parse_hierarchy(const char *line, const struct mntent *mount, __u32 *ret_id);

#endif
