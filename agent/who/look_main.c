// SPDX-License-Identifier: GPL-2.0
/*
 * The looker: reads what other processes can delay or make up, and tells the agent. It is killed where an answer takes too
 * long. It can read files and /proc, and do nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/who/look.h"

#define MEMORY_MAX (96UL << 20) /* bytes; podman's list, the largest thing it reads, is 16 MiB at most */
#define FILES_MAX 32

/* ---- what it may do ---- */

/* Exec has given root all of them back. */
static int keep_needed(void)
{
	static const unsigned int needed[] = { CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE };
	bool has[ARRAY_SIZE(needed)];

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, needed[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i]);
	return capng_apply(CAPNG_SELECT_CAPS) ? log_error(-EPERM, "cannot give up capabilities") : 0;
}

static void limit(int what, rlim_t most)
{
	setrlimit(what, &(struct rlimit){ most, most });
}

static void limit_resources(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_FSIZE, 0);
#ifndef __SANITIZE_ADDRESS__ /* which maps terabytes */
	limit(RLIMIT_DATA, MEMORY_MAX);
#endif
}

/* clang-format off */
static const int allowed[] = {
	SCMP_SYS(access),	SCMP_SYS(brk),		SCMP_SYS(clock_gettime), SCMP_SYS(close),
	SCMP_SYS(exit_group),	SCMP_SYS(fcntl),	SCMP_SYS(fstat),	SCMP_SYS(fstatfs),
	SCMP_SYS(futex),	SCMP_SYS(getdents64),	SCMP_SYS(getpid),	SCMP_SYS(getrandom),
	SCMP_SYS(gettid),	SCMP_SYS(lseek),	SCMP_SYS(madvise),	SCMP_SYS(mremap),
	SCMP_SYS(munmap),	SCMP_SYS(newfstatat),	SCMP_SYS(poll),		SCMP_SYS(read),
	SCMP_SYS(readlink),	SCMP_SYS(readlinkat),	SCMP_SYS(recvfrom),	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),	SCMP_SYS(sched_yield),	SCMP_SYS(sendto),	SCMP_SYS(sigaltstack),
	SCMP_SYS(statx),	SCMP_SYS(write),
};
/* clang-format on */

/* Opens files to read, and makes none. */
static int allow_open(scmp_filter_ctx ctx)
{
	const scmp_datum_t forbidden = O_ACCMODE | O_CREAT | O_TRUNC;

	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY))
		       ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
					   SCMP_A1(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY));
}

static int filter_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!err)
		err = allow_open(ctx);
	if (!err) /* malloc's mappings, never code */
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err ? log_error(err, "cannot filter system calls: %s", strerror(-err)) : 0;
}

/* As agent/http/sandbox.c: one that is not tried is not one. */
static int self_test(void)
{
	const struct {
		const char *what;
		bool done;
	} tries[] = {
		{ "write to a file", open("/dev/null", O_WRONLY) >= 0 },
		{ "make a socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0 },
		{ "become another user", setuid(65534) == 0 },
		{ "signal another process", kill(getppid(), 0) == 0 },
		{ "trace another process", ptrace(PTRACE_SEIZE, getppid(), 0, 0) == 0 },
		{ "map code", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (tries[i].done)
			return log_error(-EPERM, "the looker's sandbox leaks: it could %s", tries[i].what);
	return 0;
}

static int confine(void)
{
	int err = keep_needed();

	limit_resources();
	err = err ?: child_follow_parent(SIGKILL, LOOKER_FD);
	if (!err && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		err = log_error(-errno, "cannot give up privileges: %m");
	return err ?: filter_calls() ?: self_test();
}

/* ---- looking ---- */

static void say(struct look_reply *reply)
{
	/* One that cannot speak is of no use. */
	if (send(LOOKER_FD, reply, sizeof(*reply), MSG_NOSIGNAL) != (ssize_t)sizeof(*reply))
		_exit(EXIT_FAILURE);
}

static void on_process(void *data, const struct vm_process *one)
{
	struct look_reply *reply = data;

	reply->part = LOOK_PART_PROCESS;
	reply->process = *one;
	say(reply);
}

static void on_helper(void *data, int tid, int pid)
{
	struct look_reply *reply = data;

	reply->part = LOOK_PART_HELPER;
	reply->helper.tid = tid;
	reply->helper.pid = pid;
	say(reply);
}

static int look(const struct look_request *request, struct look_reply *reply)
{
	const struct vm_found found = { on_process, on_helper, reply };
	int err = 0;

	switch (request->type) {
	case LOOK_SCAN:
		vm_scan(&found);
		return 0;
	case LOOK_PROCESS:
		reply->part = LOOK_PART_PROCESS;
		err = vm_identify(request->pid, &reply->process);
		break;
	case LOOK_VM:
		reply->part = LOOK_PART_VM;
		err = vm_look(request->pid, request->start, request->again, &reply->vm);
		break;
	case LOOK_NAME:
		reply->part = LOOK_PART_NAME;
		container_name("", request->path, &request->user, &reply->name);
		break;
	}
	if (!err)
		say(reply);
	return err;
}

int look_main(char **argv)
{
	static struct look_request request;
	static struct look_reply reply;

	(void)argv;
	log_open(LOOKER_NAME, LOG_LEVEL_WARNING);
	if (confine())
		return EXIT_FAILURE;
	reply.part = LOOK_READY;
	say(&reply);
	while (recv(LOOKER_FD, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		memset(&reply, 0, sizeof(reply));
		reply.number = request.number;
		reply.error = look(&request, &reply);
		reply.part = LOOK_END;
		say(&reply);
	}
	return EXIT_SUCCESS; /* the agent is gone, or has no more use for it */
}
