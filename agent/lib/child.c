// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "agent/lib/child.h"
#include "agent/lib/util.h"

#define FDS_MAX 16

/* ---- in the child ---- */

static int real_fd(int fd, int null, int socket)
{
	return fd == CHILD_NULL ? null : fd == CHILD_SOCKET ? socket : fd;
}

/* Copies first, above all of their places: one may stand where another is to be. */
static int place_fds(const struct child *c, int socket)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), copies[FDS_MAX];

	for (unsigned int i = 0; i < c->nr_fds; i++) {
		copies[i] = fcntl(real_fd(c->fds[i], null, socket), F_DUPFD_CLOEXEC, FDS_MAX);
		if (copies[i] < 0)
			return -errno;
	}
	for (unsigned int i = 0; i < c->nr_fds; i++)
		if (dup2(copies[i], (int)i) < 0)
			return -errno;
	return close_range(c->nr_fds, ~0U, CLOSE_RANGE_CLOEXEC) ? -errno : 0;
}

/* Tells @failure, which exec closes, why there is no program. */
static _Noreturn void execute(const struct child *c, int socket, int failure)
{
	int high = fcntl(failure, F_DUPFD_CLOEXEC, FDS_MAX), err;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	err = high < 0 ? -errno : place_fds(c, socket);
	if (!err) {
		execve("/proc/self/exe", (char *const *)c->argv, (char *const *)c->envp);
		err = -errno;
	}
	_exit(write(high, &err, sizeof(err)) == sizeof(err) ? 127 : 126);
}

int child_follow_parent(int signal, int fd)
{
	struct pollfd parent = { .fd = fd };

	if (prctl(PR_SET_PDEATHSIG, signal))
		return -errno;
	/* It may have ended before that. A socket's end hangs up, a pipe without a reader is an error. */
	return poll(&parent, 1, 0) > 0 && parent.revents & (POLLHUP | POLLERR) ? -ESRCH : 0;
}

/* ---- in the parent ---- */

pid_t child_fork(int signal)
{
	pid_t parent = getpid(), pid = fork();

	/* The first process of a PID namespace has no parent there, and 0 is what it sees. */
	if (!pid && (prctl(PR_SET_PDEATHSIG, signal) || (getppid() && getppid() != parent)))
		_exit(127);
	return pid;
}

/* 0 once the program runs, or -errno. */
static int wait_for_exec(int failure)
{
	int err = 0;
	ssize_t n;

	do
		n = read(failure, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n ? err : 0;
}

static int fork_and_exec(const struct child *c, int socket, pid_t *ret_pid)
{
	_close_ int failure = -1;
	int ends[2], err;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	failure = ends[0];
	pid = child_fork(SIGKILL);
	if (!pid)
		execute(c, socket, ends[1]);
	err = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (err)
		return err;
	err = wait_for_exec(failure);
	if (err)
		child_wait(pid, -1, NULL);
	else
		*ret_pid = pid;
	return err;
}

int child_start(const struct child *c, pid_t *ret_pid, int *ret_socket)
{
	int pair[2] = { -1, -1 }, err;

	if (c->nr_fds > FDS_MAX)
		return -EINVAL;
	if (ret_socket && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	err = fork_and_exec(c, pair[1], ret_pid);
	close_p(&pair[1]);
	if (err)
		close_p(&pair[0]);
	else if (ret_socket)
		*ret_socket = pair[0];
	return err;
}

/* With WNOHANG in @flags -ETIMEDOUT: it has not ended. */
static int reap(pid_t pid, int flags, int *ret_status)
{
	pid_t reaped;

	do
		reaped = waitpid(pid, ret_status, flags);
	while (reaped < 0 && errno == EINTR);
	return reaped > 0 ? 0 : reaped ? -errno : -ETIMEDOUT;
}

int child_wait(pid_t pid, int timeout_ms, int *ret_status)
{
	int err = reap(pid, timeout_ms < 0 ? 0 : WNOHANG, ret_status);
	struct pollfd end = { .events = POLLIN };

	if (err != -ETIMEDOUT || !timeout_ms)
		return err;
	end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (end.fd < 0)
		return -errno;
	poll(&end, 1, timeout_ms);
	close(end.fd);
	return reap(pid, WNOHANG, ret_status);
}

/* ---- ending a child ---- */

/* The effective user that @pid has. A child that is not reaped keeps its number. 0 or -errno. */
static int user_of(pid_t pid, uid_t *ret_uid)
{
	char path[32], status[1024];
	const char *line;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	n = util_read_file_at(AT_FDCWD, path, status, sizeof(status));
	line = n > 0 ? strstr(status, "\nUid:") : NULL;
	return line && sscanf(line, "\nUid: %*u %u", ret_uid) == 1 ? 0 : -ESRCH;
}

/* Who signals has to be root with CAP_KILL, or that user: the effective one alone, so that the user can do nothing to us. */
static int kill_as(uid_t uid, pid_t pid)
{
	int dumpable = prctl(PR_GET_DUMPABLE), err = 0;
	const uid_t self = geteuid();

	if (seteuid(uid))
		return -errno;
	if (kill(pid, SIGKILL))
		err = -errno;
	if (seteuid(self))
		abort(); /* without our privileges nothing goes on */
	prctl(PR_SET_DUMPABLE, dumpable); /* the change took it away */
	return err;
}

int child_kill(pid_t pid)
{
	uid_t uid;

	if (!kill(pid, SIGKILL))
		return 0;
	return errno == EPERM && !user_of(pid, &uid) ? kill_as(uid, pid) : -errno;
}

int child_end(pid_t pid, int timeout_ms, int *ret_status)
{
	int err = child_wait(pid, timeout_ms, ret_status);

	if (err != -ETIMEDOUT)
		return err;
	return child_kill(pid) ?: child_wait(pid, timeout_ms, ret_status);
}
