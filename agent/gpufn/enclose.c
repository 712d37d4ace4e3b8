// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/gpufn/enclose.h"
#include "agent/gpufn/wire.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)

static int put(const char *path, const char *text)
{
	_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* It stays who it is, and keeps its groups, by which it may use devices. Nobody else is there. */
static int map_ids(uid_t uid, gid_t gid)
{
	char users[32], groups[32];
	int err = put("/proc/self/setgroups", "deny");

	snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	return err ?: put("/proc/self/uid_map", users) ?: put("/proc/self/gid_map", groups);
}

static int mount_own(const char *writable)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV;

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("tmpfs", writable, "tmpfs", flags, "mode=0700,size=" GPUFN_FILES_SIZE ",nr_inodes=" GPUFN_FILES_NR))
		return -errno;
	/* A service's /proc has parts that are covered, and must not be uncovered so. What others' processes show there is
	 * for others to see, and Landlock lets nothing be written. */
	if (mount("proc", "/proc", "proc", flags | MS_NOEXEC, NULL) && errno != EPERM)
		return -errno;
	return 0;
}

/* The broker learns from it how the executor ended. */
static _Noreturn void end_as(pid_t executor, char **argv)
{
	int status = 0;

	snprintf(argv[0], strlen(argv[0]) + 1, "%s", "nestord-gpufn-keeper");
	close(GPUFN_ORDERS_FD); /* it closes with the executor */
	if (child_wait(executor, -1, &status))
		_exit(EXIT_FAILURE);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

int gpufn_enclose(const char *writable, char **argv)
{
	const rlim_t processes = GPUFN_PROCESSES_MAX + 2 * (rlim_t)get_nprocs_conf();
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t executor;
	int err;

	if (unshare(NAMESPACES))
		return log_error(-errno, "cannot make namespaces, as user.max_user_namespaces may say: %m");
	err = map_ids(uid, gid);
	if (err)
		return log_error(err, "cannot enter a user namespace: %s", strerror(-err));
	if (setrlimit(RLIMIT_NPROC, &(struct rlimit){ processes, processes }))
		return log_error(-errno, "cannot bound the number of processes: %m");
	executor = child_fork(SIGKILL);
	if (executor < 0)
		return log_error(-errno, "cannot fork: %m");
	if (executor)
		end_as(executor, argv);
	err = mount_own(writable);
	return err ? log_error(err, "cannot mount: %s", strerror(-err)) : 0;
}
