// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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
static const int forbidden[] = {
	SCMP_SYS(ptrace),	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp),		SCMP_SYS(pidfd_open),	SCMP_SYS(pidfd_getfd),	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(tkill),	SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(unshare),	SCMP_SYS(setns),	SCMP_SYS(mount),	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),	SCMP_SYS(chroot),	SCMP_SYS(move_mount),	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),	SCMP_SYS(bpf),		SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl),	SCMP_SYS(add_key),	SCMP_SYS(request_key),
	SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
	SCMP_SYS(setpriority),	SCMP_SYS(ioprio_set),	SCMP_SYS(socket),
};
/* clang-format on */

static int bind_calls(void)
{
	static const int signals[] = { SCMP_SYS(kill), SCMP_SYS(tgkill) };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(signals) && !err; i++) /* itself it may, by abort() */
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), signals[i], 1, SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

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
