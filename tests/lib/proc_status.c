// SPDX-License-Identifier: GPL-2.0
/* budget: 5, lane: free */
/* Lines of /proc/PID/status of a process with 2000 supplementary groups: most lines follow that of the groups. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define GROUPS 2000

static void be_child(int ready)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	static gid_t groups[GROUPS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < GROUPS; i++)
		groups[i] = 1000000000 + (gid_t)i;
	if (setgroups(GROUPS, groups) || prctl(PR_SET_NAME, "a\nSeccomp:\t0") || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ 1, &allow }) || write(ready, "", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static pid_t start(void)
{
	int ready[2];
	pid_t pid;

	if (pipe(ready))
		exit(2);
	pid = fork();
	if (!pid)
		be_child(ready[1]);
	close(ready[1]);
	if (read(ready[0], &(char){ 0 }, 1) != 1)
		exit(2);
	close(ready[0]);
	return pid;
}

static void test_lines(int proc, pid_t pid)
{
	static const char *const some[] = { "NSpid", "Tgid" }, *const missing[] = { "Uid", "Seccom" };
	char text[256];

	ok(!proc_status_lines(proc, some, ARRAY_SIZE(some), text, sizeof(text)),
	   "process status: lines around the groups are read");
	is_str(named("\nTgid:\t%d\nNSpid:\t%d", pid, pid), text,
	       "process status: only those lines are read, in the kernel's order");
	ok(proc_status_lines(proc, missing, ARRAY_SIZE(missing), text, sizeof(text)) == -ENODATA,
	   "process status: a missing line is an error");
	ok(proc_status_lines(proc, (const char *const[]){ "Groups" }, 1, text, sizeof(text)) == -E2BIG,
	   "process status: a line that is too long is an error");
	ok(strlen(text) == sizeof(text) - 1, "process status: a line that is too long is cut");
	ok(proc_status_lines(proc, some, ARRAY_SIZE(some), text, 1) == -E2BIG, "process status: no room is an error");
}

static void test_number(int proc)
{
	__u64 number = 0;

	ok(!proc_status_number(proc, "Seccomp", &number), "process status: a number behind the groups is read");
	is_u64(SECCOMP_MODE_FILTER, number, "process status: the number is that of the whole key, and not part of a name");
	ok(!proc_status_number(proc, "voluntary_ctxt_switches", &number), "process status: the last but one line is read");
	ok(!proc_status_number(proc, "nonvoluntary_ctxt_switches", &number), "process status: the last lines are read");
	ok(proc_status_number(proc, "State", &number) == -ENODATA, "process status: a value that is no number is an error");
}

int main(void)
{
	char path[32];
	__u64 number;
	pid_t pid;
	int proc;

	if (geteuid()) {
		ok(true, "process status # SKIP setgroups() needs root");
		return done_testing();
	}
	pid = start();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_lines(proc, pid);
	test_number(proc);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(proc_status_number(proc, "Seccomp", &number) < 0, "process status: a process that has ended has none");
	close(proc);
	return done_testing();
}
