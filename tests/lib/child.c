// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 5
 * lane: free
 * Starting a process of the agent's own. This program is its own child, under other names.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>

#include "agent/lib/child.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

enum { SOCK = 3, EXTRA = 4, NOBODY = 65534 };

/* ---- the children ---- */

struct seen {
	pid_t pid;
	bool null_stdin, blocked;
	int fds; /* that are open */
	char extra[16], environment[16], argument[16];
};

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = -3; /* ".", ".." and that of @dir */

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void send_seen(const char *argument)
{
	struct seen s = { .pid = getpid(), .fds = count_fds() };
	struct stat stdin_stat, null_stat;
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	s.blocked = sigismember(&set, SIGTERM) == 1;
	s.null_stdin = !fstat(STDIN_FILENO, &stdin_stat) && !stat("/dev/null", &null_stat) &&
		       stdin_stat.st_rdev == null_stat.st_rdev;
	snprintf(s.argument, sizeof(s.argument), "%s", argument);
	snprintf(s.environment, sizeof(s.environment), "%s", getenv("GIVEN") ?: "");
	if (pread(EXTRA, s.extra, sizeof(s.extra) - 1, 0) < 0)
		strcpy(s.extra, "cannot be read");
	send(SOCK, &s, sizeof(s), 0);
}

/* Ends with @status when told to. */
static int run_reporter(char **argv)
{
	char status = 0;

	send_seen(argv[1]);
	recv(SOCK, &status, 1, 0);
	return status;
}

static int start(const char *name, int extra, pid_t *pid, int *sock)
{
	const char *const argv[] = { name, "an argument", NULL }, *const envp[] = { "GIVEN=yes", NULL };
	const int fds[] = { CHILD_NULL, CHILD_NULL, STDERR_FILENO, CHILD_SOCKET, extra };

	return child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, pid, sock);
}

static int run_orphan(void)
{
	pid_t pid = getpid();

	if (child_follow_parent(SIGKILL, SOCK))
		return EXIT_FAILURE;
	send(EXTRA, &pid, sizeof(pid), 0);
	for (;;)
		pause();
}

/* Starts one that ends with it, and that reports to our own parent. */
static int run_middle(void)
{
	int sock;
	pid_t pid;

	if (start("orphan", SOCK, &pid, &sock))
		return EXIT_FAILURE;
	for (;;)
		pause();
}

/* ---- the tests ---- */

static void test_inheritance(void)
{
	_close_ int file = fileno(tmpfile()), leak = dup2(file, 200);
	struct seen s = {};
	sigset_t set;
	pid_t pid = 0;
	int sock = -1, status = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ok(write(file, "content", 7) == 7 && leak == 200 && !start("reporter", file, &pid, &sock),
	   "child: a child starts with a given descriptor");
	ok(recv(sock, &s, sizeof(s), 0) == sizeof(s) && s.pid == pid,
	   "child: the parent has the child's socket and process id");
	is_str("content", s.extra, "child: a given descriptor is at its number");
	is_u64(5, (unsigned int)s.fds, "child: only given descriptors are open");
	ok(s.null_stdin, "child: CHILD_NULL is /dev/null");
	ok(!s.blocked, "child: no signal is blocked, though the parent blocks one");
	is_str("an argument", s.argument, "child: a child has the given arguments");
	is_str("yes", s.environment, "child: a child has the given environment");
	is_u64(ETIMEDOUT, (unsigned int)-child_wait(pid, 0, NULL),
	       "child: waiting for a running child without time returns at once");
	send(sock, "\7", 1, 0);
	ok(!child_wait(pid, -1, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 7,
	   "child: waiting returns the exit status");
	ok(child_wait(pid, 0, NULL) == -ESRCH || child_wait(pid, -1, NULL) == -ECHILD, "child: a child is reaped once");
	close(sock);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Places that are each other's, and below all that the parent has open. */
static void test_swapped(void)
{
	_close_ int one = dup2(memfd_create("one", 0), 101), two = dup2(memfd_create("two", 0), 102);
	int low = dup2(one, 4), at_3 = dup2(two, 3), sock = -1;
	struct seen s = {};
	pid_t pid = 0;

	ok(write(one, "one", 3) == 3 && write(two, "two", 3) == 3 && low == 4 && at_3 == 3 &&
		   !start("reporter", at_3, &pid, &sock) && recv(sock, &s, sizeof(s), 0) > 0,
	   "child: a child starts with descriptors that swap their numbers");
	is_str("two", s.extra, "child: descriptor 3 of the parent is 4 of the child");
	close(sock);
	child_wait(pid, -1, NULL);
}

static void test_no_program(void)
{
	static char huge[1 << 20]; /* more than the kernel takes as an argument */
	const char *const argv[] = { huge, NULL }, *const envp[] = { NULL };
	const int fds[] = { CHILD_NULL, CHILD_NULL, STDERR_FILENO, CHILD_SOCKET }, bad[] = { 999, CHILD_NULL, STDERR_FILENO };
	const int before = count_fds();
	int sock = -1;
	pid_t pid = 0;

	memset(huge, 'x', sizeof(huge) - 1);
	is_u64(E2BIG, (unsigned int)-child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, &pid, &sock),
	       "child: a program that cannot be executed is an error in the parent");
	is_u64(EBADF, (unsigned int)-child_start(&(struct child){ argv, envp, bad, ARRAY_SIZE(bad) }, &pid, NULL),
	       "child: a given descriptor that is not open is an error in the parent");
	ok(!pid && sock == -1 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "child: a failed start leaves no process");
	is_u64((unsigned int)before, (unsigned int)count_fds(), "child: a failed start leaves no descriptor");
}

static void test_parent_killed(void)
{
	pid_t middle = 0, orphan = 0;
	int sock = -1, status;
	struct pollfd end = { .events = POLLIN };

	ok(!start("middle", STDERR_FILENO, &middle, &sock) && recv(sock, &orphan, sizeof(orphan), 0) == sizeof(orphan),
	   "child: a child starts a child of its own");
	end.fd = (int)syscall(SYS_pidfd_open, orphan, 0);
	ok(!poll(&end, 1, 0), "child: a child that follows its parent runs while the parent does");
	kill(middle, SIGKILL);
	ok(!child_wait(middle, -1, &status) && WIFSIGNALED(status), "child: a killed child is reaped");
	ok(end.fd >= 0 && poll(&end, 1, -1) == 1, "child: a child that follows its parent ends when the parent is killed");
	close(end.fd);
	close(sock);
}

static void test_follow_too_late(void)
{
	int pair[2], ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) || pipe(ends))
		return;
	ok(!child_follow_parent(0, pair[1]) && !child_follow_parent(0, ends[1]), "child: a running parent can be followed");
	close(pair[0]);
	close(ends[0]);
	is_u64(ESRCH, (unsigned int)-child_follow_parent(0, pair[1]),
	       "child: a parent that closed its socket cannot be followed");
	is_u64(ESRCH, (unsigned int)-child_follow_parent(0, ends[1]),
	       "child: a parent that closed its pipe cannot be followed");
	close(pair[1]);
	close(ends[1]);
}

/* As when the agent has as many descriptors as it may have. */
static void test_no_descriptor_left(void)
{
	struct rlimit before, none;
	siginfo_t ended;
	int status = 0, late, in_time;
	pid_t pid = child_fork(SIGKILL);

	if (!pid)
		_exit(3);
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ 0, before.rlim_max };
	waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
	setrlimit(RLIMIT_NOFILE, &none);
	in_time = child_wait(pid, 0, &status);
	setrlimit(RLIMIT_NOFILE, &before);
	ok(!in_time && WEXITSTATUS(status) == 3, "child: one that has ended is reaped without a descriptor");
	pid = child_fork(SIGKILL);
	if (!pid)
		for (;;)
			pause();
	late = child_wait(pid, 1, NULL);
	kill(pid, SIGKILL);
	in_time = child_wait(pid, 60000, &status);
	ok(late == -ETIMEDOUT && !in_time && WTERMSIG(status) == SIGKILL,
	   "child: wait lasts until the end, or until the time is over");
}

static void test_fork(void)
{
	int status = 0;
	pid_t pid = child_fork(SIGKILL);

	if (!pid)
		_exit(3);
	ok(pid > 0 && !child_wait(pid, -1, &status) && WEXITSTATUS(status) == 3, "child: a fork continues in the same program");
}

/* As the agent, root without CAP_KILL; its child is stopped, and another user. 0: it is ended, and what it ended by was
 * SIGKILL. */
static int end_stopped_user(void)
{
	pid_t pid = child_fork(SIGKILL);
	int status = 0;

	if (!pid) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_KILL);
	if (capng_apply(CAPNG_SELECT_CAPS) || !kill(pid, 0))
		return 2;
	if (child_end(pid, 100, &status) && child_wait(pid, 60000, &status))
		return 3;
	return !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || geteuid() || prctl(PR_GET_DUMPABLE) != 1 ? 4 : 0;
}

static void test_end(void)
{
	int status = -1;
	pid_t pid = child_fork(SIGKILL);

	if (!pid) {
		raise(SIGSTOP);
		_exit(0);
	}
	ok(!child_end(pid, 1000, &status) && WIFSIGNALED(status), "child: a stopped child that is to end is killed");
	pid = child_fork(SIGKILL);
	if (!pid)
		_exit(5);
	ok(!child_end(pid, 60000, &status) && WEXITSTATUS(status) == 5, "child: a child that ends in time is not killed");
	if (geteuid()) {
		ok(true, "child: a child of another user # SKIP this is not root");
		return;
	}
	pid = child_fork(SIGKILL);
	if (!pid)
		_exit(end_stopped_user());
	child_wait(pid, -1, &status);
	is_u64(0, (unsigned int)WEXITSTATUS(status), "child: a stopped child of another user is killed without CAP_KILL");
}

int main(int argc, char **argv)
{
	(void)argc;
	if (!strcmp(argv[0], "reporter"))
		return run_reporter(argv);
	if (!strcmp(argv[0], "middle"))
		return run_middle();
	if (!strcmp(argv[0], "orphan"))
		return run_orphan();
	test_inheritance();
	test_swapped();
	test_no_program();
	test_parent_killed();
	test_follow_too_late();
	test_fork();
	test_no_descriptor_left();
	test_end();
	return done_testing();
}
