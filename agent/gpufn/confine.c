// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/sockios.h>
#include <linux/landlock.h>
#include <seccomp.h>

#include "agent/gpufn/confine.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define WRITE                                                                                                                  \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                      \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ALL                                                                                                                    \
	(READ | WRITE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |           \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK)

/* ---- files ---- */

/* What is not there is not needed. */
static int allow_below(int rules, const char *path, __u64 access)
{
	_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
}

static int bind_files(const char *readable, const char *writable)
{
	/* Programs, their settings, what drivers ask the kernel; not homes, not the state of services. */
	static const char *const system_dirs[] = { "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys" };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* Where the kernel cannot allow it (5.13 to 5.18), it always forbids to move files to another directory. */
	__u64 refer = abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
	const struct landlock_ruleset_attr attr = { .handled_access_fs = ALL | refer };
	_close_ int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int err = 0;

	if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
		log_warning("the kernel has no Landlock: functions may read what user %u may", getuid());
		return 0;
	}
	if (rules < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs) && !err; i++)
		err = allow_below(rules, system_dirs[i], READ);
	err = err ?: readable ? allow_below(rules, readable, READ) : 0;
	err = err ?: allow_below(rules, "/dev", READ | LANDLOCK_ACCESS_FS_WRITE_FILE); /* devices have modes */
	err = err ?: allow_below(rules, writable, READ | WRITE | refer);
	return err ?: syscall(SYS_landlock_restrict_self, rules, 0) ? -errno : 0;
}

/* ---- system calls ---- */

/* clang-format off */
/* What is not here gives EPERM. Found by tracing PoCL and its compiler; CUDA needs less, as its driver is behind ioctl(). */
static const int allowed[] = {
	/* memory; drivers lock what devices copy from, and bind it to nodes */
	SCMP_SYS(brk),		SCMP_SYS(mmap),		SCMP_SYS(munmap),	SCMP_SYS(mremap),	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),	SCMP_SYS(mlock),	SCMP_SYS(mlock2),	SCMP_SYS(munlock),	SCMP_SYS(mincore),
	SCMP_SYS(msync),	SCMP_SYS(membarrier),	SCMP_SYS(mbind),	SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
	SCMP_SYS(memfd_create),
	/* files, which Landlock bounds: headers, libraries, what the compiler writes, devices */
	SCMP_SYS(open),		SCMP_SYS(openat),	SCMP_SYS(creat),	SCMP_SYS(close),	SCMP_SYS(close_range),
	SCMP_SYS(read),		SCMP_SYS(write),	SCMP_SYS(readv),	SCMP_SYS(writev),	SCMP_SYS(pread64),
	SCMP_SYS(preadv),	SCMP_SYS(pwritev),	SCMP_SYS(pwrite64),	SCMP_SYS(lseek),	SCMP_SYS(stat),		SCMP_SYS(fstat),	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),	SCMP_SYS(statx),	SCMP_SYS(statfs),	SCMP_SYS(fstatfs),	SCMP_SYS(access),
	SCMP_SYS(faccessat),	SCMP_SYS(faccessat2),	SCMP_SYS(readlink),	SCMP_SYS(readlinkat),	SCMP_SYS(getdents),
	SCMP_SYS(getdents64),	SCMP_SYS(getcwd),	SCMP_SYS(chdir),	SCMP_SYS(fchdir),	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),	SCMP_SYS(rmdir),	SCMP_SYS(unlink),	SCMP_SYS(unlinkat),	SCMP_SYS(rename),
	SCMP_SYS(renameat),	SCMP_SYS(renameat2),	SCMP_SYS(symlink),	SCMP_SYS(symlinkat),	SCMP_SYS(link),
	SCMP_SYS(linkat),	SCMP_SYS(chmod),	SCMP_SYS(fchmod),	SCMP_SYS(fchmodat),	SCMP_SYS(umask),
	SCMP_SYS(utimensat),	SCMP_SYS(truncate),	SCMP_SYS(ftruncate),	SCMP_SYS(fallocate),	SCMP_SYS(fadvise64),
	SCMP_SYS(fsync),	SCMP_SYS(fdatasync),	SCMP_SYS(flock),	SCMP_SYS(copy_file_range), SCMP_SYS(sendfile),
	SCMP_SYS(dup),		SCMP_SYS(dup2),		SCMP_SYS(dup3),		SCMP_SYS(pipe),		SCMP_SYS(pipe2),
	SCMP_SYS(fcntl),	SCMP_SYS(ioctl),
	/* threads, and the linker, which is a process */
	SCMP_SYS(clone),	SCMP_SYS(clone3),	SCMP_SYS(fork),		SCMP_SYS(vfork),	SCMP_SYS(execve),
	SCMP_SYS(exit),		SCMP_SYS(exit_group),	SCMP_SYS(wait4),	SCMP_SYS(waitid),	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),	SCMP_SYS(set_tid_address), SCMP_SYS(arch_prctl),
	SCMP_SYS(prctl),	SCMP_SYS(prlimit64),	SCMP_SYS(getrlimit),	SCMP_SYS(getrusage),	SCMP_SYS(getcpu),
	/* drivers bind their threads to processors; in its PID namespace it can name no thread of others */
	SCMP_SYS(sched_yield),	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_get_priority_min), SCMP_SYS(sched_get_priority_max),
	/* signals, to itself; see below */
	SCMP_SYS(rt_sigaction),	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigsuspend), SCMP_SYS(sigaltstack),
	SCMP_SYS(kill),		SCMP_SYS(tgkill),	SCMP_SYS(restart_syscall),
	/* time */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(time),		SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	/* who and where it is */
	SCMP_SYS(getpid),	SCMP_SYS(getppid),	SCMP_SYS(gettid),	SCMP_SYS(getpgrp),	SCMP_SYS(getpgid),
	SCMP_SYS(getuid),	SCMP_SYS(geteuid),	SCMP_SYS(getgid),	SCMP_SYS(getegid),	SCMP_SYS(getgroups),
	SCMP_SYS(getresuid),	SCMP_SYS(getresgid),	SCMP_SYS(capget),	SCMP_SYS(getpriority),	SCMP_SYS(times),
	SCMP_SYS(getsockname),	SCMP_SYS(getsockopt),	SCMP_SYS(uname),	SCMP_SYS(sysinfo),	SCMP_SYS(getrandom),
	/* orders, and what else it waits for */
	SCMP_SYS(recvmsg),	SCMP_SYS(recvfrom),	SCMP_SYS(sendto),	SCMP_SYS(sendmsg),	SCMP_SYS(shutdown),
	SCMP_SYS(socketpair),	SCMP_SYS(poll),		SCMP_SYS(ppoll),	SCMP_SYS(select),	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),	SCMP_SYS(epoll_wait),	SCMP_SYS(epoll_pwait),	SCMP_SYS(eventfd2),
};
/* clang-format on */

static int allow_calls(scmp_filter_ctx ctx)
{
	int err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree */

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	return err;
}

/* Arguments that the kernel cuts to 32 bits, and so have to be compared without the others. */
#define LOW 0xffffffff

/* What a call must not do. @value: of argument @arg, among the bits of @mask. */
struct refused {
	int call;
	unsigned int arg;
	__u64 mask, value;
};

static const struct refused signals[] = {
	/* a signal to whoever owns a descriptor's events, sent by the kernel, whatever the sender may */
	{ SCMP_SYS(fcntl), 1, LOW, F_SETOWN },	{ SCMP_SYS(fcntl), 1, LOW, F_SETOWN_EX },
	{ SCMP_SYS(fcntl), 1, LOW, F_SETSIG },	{ SCMP_SYS(fcntl), 1, LOW, F_SETLEASE },
	{ SCMP_SYS(fcntl), 1, LOW, F_NOTIFY },	{ SCMP_SYS(ioctl), 1, LOW, FIOSETOWN },
	{ SCMP_SYS(ioctl), 1, LOW, SIOCSPGRP }, { SCMP_SYS(ioctl), 1, LOW, FIOASYNC },
};

static const struct refused others[] = {
	/* input to a terminal */
	{ SCMP_SYS(ioctl), 1, LOW, TIOCSTI },
	{ SCMP_SYS(ioctl), 1, LOW, TIOCLINUX },
	/* its end with the broker; being traced, and what of its memory shows elsewhere */
	{ SCMP_SYS(prctl), 0, LOW, PR_SET_PDEATHSIG },
	{ SCMP_SYS(prctl), 0, LOW, PR_SET_PTRACER },
	{ SCMP_SYS(prctl), 0, LOW, PR_SET_DUMPABLE },
	{ SCMP_SYS(prctl), 0, LOW, PR_SET_MM },
	/* namespaces */
	{ SCMP_SYS(clone), 0, CLONE_NEWUSER, CLONE_NEWUSER },
	{ SCMP_SYS(clone), 0, CLONE_NEWPID, CLONE_NEWPID },
	{ SCMP_SYS(clone), 0, CLONE_NEWNS, CLONE_NEWNS },
	{ SCMP_SYS(clone), 0, CLONE_NEWNET, CLONE_NEWNET },
	{ SCMP_SYS(clone), 0, CLONE_NEWIPC, CLONE_NEWIPC },
	{ SCMP_SYS(clone), 0, CLONE_NEWUTS, CLONE_NEWUTS },
	{ SCMP_SYS(clone), 0, CLONE_NEWCGROUP, CLONE_NEWCGROUP },
};

static int refuse_all(scmp_filter_ctx ctx, const struct refused *r, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), r[i].call, 1,
				       SCMP_CMP(r[i].arg, SCMP_CMP_MASKED_EQ, r[i].mask, r[i].value));
	return err;
}

static int refuse_arguments(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp not_it = SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()), another = SCMP_A0(SCMP_CMP_NE, 0);
	const __u32 refuse = SCMP_ACT_ERRNO(EPERM);
	int err = refuse_all(ctx, signals, ARRAY_SIZE(signals)) ?: refuse_all(ctx, others, ARRAY_SIZE(others));

	/* Itself it may signal, by abort(); and have limits. */
	err = err ?: seccomp_rule_add(ctx, refuse, SCMP_SYS(kill), 1, not_it);
	err = err ?: seccomp_rule_add(ctx, refuse, SCMP_SYS(tgkill), 1, not_it);
	err = err ?: seccomp_rule_add(ctx, refuse, SCMP_SYS(prlimit64), 1, another);
	/* Its flags are in memory, where no filter sees them: the C library falls back to the older one. */
	return err ?: seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int load_filter(__u32 otherwise, int (*add_rules)(scmp_filter_ctx ctx))
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int err = ctx ? add_rules(ctx) : -ENOMEM;

	err = err ?: seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

/* Two filters, of which the stricter one decides: one has what is allowed, one what is not for its arguments. */
static int bind_calls(void)
{
	return load_filter(SCMP_ACT_ALLOW, refuse_arguments) ?: load_filter(SCMP_ACT_ERRNO(EPERM), allow_calls);
}

/* ---- of the broker ---- */

/* clang-format off */
/* What neither it needs nor what an executor does before it is confined itself, as that is bound by this, too. */
static const int unneeded[] = {
	SCMP_SYS(socket),	SCMP_SYS(connect),	SCMP_SYS(bind),		SCMP_SYS(listen),
	SCMP_SYS(ptrace),	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp),		SCMP_SYS(pidfd_getfd),	SCMP_SYS(setns),	SCMP_SYS(pivot_root),	SCMP_SYS(chroot),
	SCMP_SYS(bpf),		SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
};
/* clang-format on */

static int refuse_unneeded(scmp_filter_ctx ctx)
{
	int err = refuse_all(ctx, signals, ARRAY_SIZE(signals));

	for (size_t i = 0; i < ARRAY_SIZE(unneeded) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), unneeded[i], 0);
	return err;
}

int confine_broker(void)
{
	int err = load_filter(SCMP_ACT_ALLOW, refuse_unneeded);

	if (err)
		return log_error(err, "cannot filter system calls: %s", strerror(-err));
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0
		       ? 0
		       : log_error(-EPERM, "what confines the broker leaks: it could make a socket");
}

/* ---- of an executor ---- */

/* As agent/http/sandbox.c: one that is not tried is not one. */
static int self_test(void)
{
	const struct {
		const char *what;
		bool done;
	} tries[] = {
		{ "talk to the network", socket(AF_INET, SOCK_STREAM, 0) >= 0 },
		{ "talk to services", socket(AF_UNIX, SOCK_STREAM, 0) >= 0 },
		{ "signal another process", kill(getppid(), 0) == 0 },
		{ "signal all others", kill(-1, 0) == 0 },
		{ "trace another process", ptrace(PTRACE_SEIZE, getppid(), 0, 0) == 0 },
		{ "become root", setuid(0) == 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (tries[i].done)
			return log_error(-EPERM, "what confines an executor leaks: it could %s", tries[i].what);
	return 0;
}

int confine(const char *readable, const char *writable)
{
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return log_error(-errno, "cannot give up privileges: %m");
	err = bind_files(readable, writable);
	if (err)
		return log_error(err, "cannot confine to files: %s", strerror(-err));
	err = bind_calls();
	if (err)
		return log_error(err, "cannot filter system calls: %s", strerror(-err));
	return self_test();
}
