// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/gpufn/peer.h"
#include "agent/lib/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define RUNTIME_ID_LEN 64 /* hex digits: docker, podman, containerd, CRI-O */

static int open_process(int connection, pid_t pid)
{
	socklen_t len = sizeof(int);
	int fd;

	if (!getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &fd, &len))
		return fd;
	if (errno != ENOPROTOOPT)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

/* Then nobody else had its number so far. */
static bool lives(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* Of /proc/PID/cgroup the line of the hierarchy that containers are known by. */
static bool cgroup_of(char *text, bool memory_v1, char *ret, size_t size)
{
	char *line, *save;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *path = strchr(line, ':');

		path = path ? strchr(path + 1, ':') : NULL;
		if (path && (memory_v1 ? strstr(line, "memory") && strstr(line, "memory") < path : !strncmp(line, "0::", 3)))
			return (size_t)snprintf(ret, size, "%s", path + 1) < size;
	}
	return false;
}

static bool has_runtime_id(const char *path)
{
	size_t n;

	for (; *path; path += n + !n) {
		n = strspn(path, "0123456789abcdef");
		if (n == RUNTIME_ID_LEN)
			return true;
	}
	return false;
}

/* Its numbers in all namespaces, from ours inwards. A process that has them cut off, by thousands of groups, has something to
 * hide.
 */
static bool has_own_pid_namespace(const char *status)
{
	const char *numbers = strstr(status, "\nNSpid:\t");

	numbers = numbers ? numbers + strlen("\nNSpid:\t") : "\t";
	return numbers[strcspn(numbers, "\t\n")] != '\n';
}

int peer_process_look(int connection, bool memory_v1, struct peer_process *ret)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	_close_ int process = -1, dir = -1;
	char name[32], status[8192], cgroups[8192];

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return -errno;
	process = open_process(connection, who.pid);
	snprintf(name, sizeof(name), "/proc/%d", who.pid);
	dir = process < 0 ? -1 : open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || util_read_file_at(dir, "status", status, sizeof(status)) <= 0 ||
	    util_read_file_at(dir, "cgroup", cgroups, sizeof(cgroups)) <= 0 || !lives(process))
		return -ESRCH;
	if (!cgroup_of(cgroups, memory_v1, ret->cgroup, sizeof(ret->cgroup)))
		return -E2BIG;
	ret->uid = who.uid;
	ret->contained = has_own_pid_namespace(status) || has_runtime_id(ret->cgroup);
	return 0;
}
