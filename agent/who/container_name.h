/* SPDX-License-Identifier: GPL-2.0 */
/* What a person calls the container, or the unit of systemd, that a cgroup belongs to; from the cgroup's path. */
#ifndef NESTOR_CONTAINER_NAME_H
#define NESTOR_CONTAINER_NAME_H

#include <stdbool.h>

#include <linux/types.h>

#include "agent/base/kernel.h"
#include "bpf/owner.h"

/*
 * A runtime may write its record after it made the cgroup: until a cgroup is so old its name is asked for again, where
 * the one found is not final.
 */
#define NAME_SETTLES_NS (10ULL * 1000000000)

struct container_name {
	/*
	 * Never empty; valid UTF-8 without control characters. What belongs to a user (but root) begins with
	 * "user@UID", whatever he calls it: no user can count for the system's containers.
	 */
	char name[OWNER_NAME_MAX];
	char runtime[OWNER_RUNTIME_MAX]; /* docker, podman, containerd, crio, runc, crun, lxc, nspawn, libvirt, systemd, path */
	char short_id[OWNER_SHORT_ID_MAX]; /* first 12 digits of the runtime's id, or "" */
	char path[OWNER_PATH_MAX]; /* the container's own cgroup: the path or an ancestor of it */
	/*
	 * False: there was no record of a runtime (yet): ask again later, a few times, as a cgroup made by hand never has
	 * one.
	 */
	bool final;
};

/*
 * @path: of a cgroup, from the mount of its hierarchy. The container is the outermost component that a runtime made,
 * else the outermost service or scope of systemd, else the slice, else the path itself. @root: "" or a directory that
 * stands for / (tests). @user: what kernel_cgroup_user() says of @path; NULL: nothing. Reads files of the runtimes, and of
 * users: it may wait for ever, so only the looker does this (agent/who/looker.h). NULL: nothing is read, and nothing is final
 * that a record might change.
 */
void container_name(const char *root, const char *path, const struct cgroup_user *user, struct container_name *ret);

/* The user whose files container_name() may read, 0: none's but root's. */
__u32 container_name_user(const char *path, const struct cgroup_user *user);

#endif
