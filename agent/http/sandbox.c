// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/http/sandbox.h"
#include "agent/lib/util.h"

/* What libmicrohttpd, malloc and our own loop use. Everything else gives EPERM. */
/* clang-format off */
static const int allowed[] = {
	SCMP_SYS(accept4),	SCMP_SYS(brk),		SCMP_SYS(clock_gettime), SCMP_SYS(close),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),	SCMP_SYS(epoll_wait),	 SCMP_SYS(eventfd2),
	SCMP_SYS(exit_group),	SCMP_SYS(fcntl),	SCMP_SYS(fstat),	 SCMP_SYS(futex),
	SCMP_SYS(getrandom),	SCMP_SYS(getsockname),	SCMP_SYS(getsockopt),	 SCMP_SYS(lseek),
	SCMP_SYS(munmap),	SCMP_SYS(mremap),	SCMP_SYS(poll),		 SCMP_SYS(pread64),
	SCMP_SYS(read),		SCMP_SYS(recvfrom),	SCMP_SYS(recvmsg),	 SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sendfile),	SCMP_SYS(sendmsg),	 SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),	SCMP_SYS(shutdown),	SCMP_SYS(write),	 SCMP_SYS(writev),
};
/* clang-format on */

static const struct passwd *find_user(const char *name)
{
	const struct passwd *user = getpwnam(name);

	return user ? user : getpwnam("nobody");
}

/*
 * Takes CAP_SETPCAP, so it comes before the change of user. A service that lacks it keeps a bounding set,
 * of which nothing can be had without new privileges.
 */
static int drop_bounding_set(void)
{
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return 0;
	capng_clear(CAPNG_SELECT_BOUNDS);
	return capng_apply(CAPNG_SELECT_BOUNDS) ? log_error(-EPERM, "cannot drop the capability bounding set") : 0;
}

static int change_user(const struct passwd *user)
{
	if (setgroups(0, NULL) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return log_error(-errno, "cannot become user %s: %m", user->pw_name);
	return 0;
}

static int drop_capabilities(void)
{
	/* Not the bounding set, which was emptied before if that could be, nor the ambient one, which goes with these. */
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return log_error(-EPERM, "cannot drop capabilities");
	return 0;
}

static int filter_syscalls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < ARRAY_SIZE(allowed); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!err) /* malloc's mappings, never code */
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err) /* fstat(fd) of newer C libraries: a path of no length */
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
				       SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err ? log_error(err, "cannot filter system calls: %s", strerror(-err)) : 0;
}

/* A sandbox that is not tried is not one. */
static int self_test(void)
{
	const struct {
		const char *what;
		bool done;
	} tries[] = {
		{ "open a file", open("/", O_RDONLY) >= 0 },
		{ "open a file by a relative path", openat(AT_FDCWD, "..", O_PATH) >= 0 },
		{ "make a socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0 },
		{ "become root", setuid(0) == 0 },
		{ "signal another process", kill(getppid(), 0) == 0 },
		{ "trace another process", ptrace(PTRACE_SEIZE, getppid(), 0, 0) == 0 },
		{ "map code", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (tries[i].done)
			return log_error(-EPERM, "the sandbox leaks: it could %s", tries[i].what);
	return 0;
}

int sandbox_enter(const char *name, const char *empty_dir, int parent_fd)
{
	const struct passwd *user = find_user(name); /* while /etc can be read */
	int err;

	if (!user)
		return log_error(-ENOENT, "there is neither a user %s nor nobody", name);
	if (chroot(empty_dir) || chdir("/"))
		return log_error(-errno, "cannot change into %s: %m", empty_dir);
	err = drop_bounding_set();
	if (!err)
		err = change_user(user);
	if (!err)
		err = drop_capabilities();
	if (!err) /* no sandboxed process outlives nestord */
		err = child_follow_parent(SIGKILL, parent_fd);
	if (!err && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		err = log_error(-errno, "cannot give up privileges: %m");
	if (!err)
		err = filter_syscalls();
	return err ? err : self_test();
}
