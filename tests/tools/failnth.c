// SPDX-License-Identifier: GPL-2.0
/*
 * failnth SYSCALL UNDO COMMAND ARG…: runs COMMAND again and again, and has the first allocation fail that the kernel makes
 * in each of its calls of SYSCALL (a number), then the second, and so on, until none makes that many; then it has to
 * succeed. UNDO (a shell's command) undoes what one that succeeded has done. Prints how many allocations there were, and
 * how often COMMAND succeeded all the same. Wants a kernel with fault injection (/proc/PID/fail-nth), and its debugfs
 * settings to let every allocation fail.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_MOST 20000 /* allocations: a command with more would take hours */

/* The N-th allocation from now on that @pid makes is to fail; 0: none is. */
static void set_fault(pid_t pid, unsigned int n)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", pid, pid);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%u", n) < 0 || fclose(f))
		error(1, errno, "%s", path);
}

/* Has the one that was to fail come? */
static bool has_failed(pid_t pid)
{
	unsigned int left;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", pid, pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%u", &left) != 1 || fclose(f))
		error(1, errno, "%s", path);
	return !left;
}

static pid_t start(char **command)
{
	pid_t pid = fork();

	if (pid < 0)
		error(1, errno, "fork");
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
			_exit(126);
		execvp(command[0], command);
		_exit(127);
	}
	return pid;
}

/* Runs @command with a fault in each call @nr; *@status is how it ended. Was there an @n-th allocation in any? */
static bool run_once(long nr, unsigned int n, char **command, int *status)
{
	struct __ptrace_syscall_info info;
	bool injected = false, armed = false;
	pid_t pid = start(command);
	long sig = 0;

	if (waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status))
		error(1, errno, "%s did not start", command[0]);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, sig) || waitpid(pid, status, 0) != pid)
			error(1, errno, "%s was lost", command[0]);
		if (!WIFSTOPPED(*status))
			return injected;
		sig = WSTOPSIG(*status) == SIGTRAP ? 0 : WSTOPSIG(*status);
		if (sig != (SIGTRAP | 0x80))
			continue;
		sig = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
			error(1, errno, "PTRACE_GET_SYSCALL_INFO");
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && (long)info.entry.nr == nr) {
			set_fault(pid, n);
			armed = true;
		} else if (armed) {
			injected |= has_failed(pid);
			set_fault(pid, 0);
			armed = false;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned int n = 1, survived = 0;
	bool injected, succeeded;
	int status;

	if (argc < 4)
		error(1, 0, "usage: failnth SYSCALL UNDO COMMAND ARG…");
	do {
		injected = run_once(atol(argv[1]), n, argv + 3, &status);
		succeeded = WIFEXITED(status) && !WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			error(1, 0, "allocation %u: killed by signal %d", n, WTERMSIG(status));
		survived += succeeded && injected;
		if (succeeded && system(argv[2]))
			error(1, 0, "allocation %u: cannot be undone", n);
	} while (injected && ++n < AT_MOST);
	printf("%u allocations; %u of their failures did not matter\n", n - 1, survived);
	if (!succeeded)
		error(1, 0, "without a failure it does not succeed either");
	return 0;
}
