// SPDX-License-Identifier: GPL-2.0
/* budget: 20, lane: free */
/*
 * What must not happen to a process when calls are put into it: nothing is written to another process or program, no system
 * call dispatch and no seccomp filter sees the calls, and event loops go on.
 */
#include <elf.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "tests/dedup/victim.h"

#define RANGES 5000 /* for which an injection takes dozens of steps */
#define TEXT_SIZE 32768
#define IMAGE 0x555555554000 /* where the kernel puts a program without randomization */
#define BUSY_TRIES 20 /* a busy machine may not run a thread for as long as the injector waits for its stop */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static struct inject_range ranges[RANGES];

static void until(const _Atomic int *what)
{
	while (!*what)
		syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* The result goes to told->result, plus 1. */
static pid_t inject_beside(const struct identity *id)
{
	struct injection done;
	pid_t pid = fork();

	if (!pid) {
		told->result = 1 - inject_madvise(id, MADV_MERGEABLE, ranges, RANGES, INJECT_TIMEOUT_MS, &done);
		_exit(0);
	}
	return pid;
}

static pid_t victim_of(void (*round)(void), struct identity *id)
{
	pid_t pid = victim(round, RANGES);

	ranges_of(ranges, RANGES);
	if (identity_open(pid, id))
		exit(1);
	return pid;
}

static void await_first_calls(pid_t pid)
{
	while (!mergeable(pid) && !told->result)
		;
}

/* ---- another program ---- */

static int memory; /* of *told */

/* Of the program that is executed, and where it has that. */
static const volatile uint8_t text[TEXT_SIZE] __attribute__((aligned(PAGE))) = { [0 ... TEXT_SIZE - 1] = 0x5a };
extern const uint8_t __executable_start[];

static uint8_t *place_of_text(void)
{
	return (uint8_t *)IMAGE + ((uintptr_t)text - (uintptr_t)__executable_start);
}

static void share_told(void)
{
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
}

/* Moves its vDSO to where the program that it executes, once it is told, has its text. */
static void round_exec(void)
{
	static bool moved;
	char number[16];

	if (!moved) {
		uint8_t *vdso = (uint8_t *)getauxval(AT_SYSINFO_EHDR);

		moved = mremap(vdso, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, place_of_text()) == place_of_text();
		told->wrong += !moved;
	}
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (!told->go)
		return;
	snprintf(number, sizeof(number), "%d", memory);
	execl("/proc/self/exe", "inject_guards", "text", number, NULL);
	_exit(1);
}

/* What was executed looks whether its text is written to. */
static _Noreturn void be_text(const char *number)
{
	memory = atoi(number);
	share_told();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	told->ready = text == place_of_text() ? 2 : 3;
	for (;; told->rounds++)
		for (size_t i = 0; i < TEXT_SIZE; i++)
			if (text[i] != 0x5a)
				wrong("a byte of its text", text[i]);
}

/* Returns a victim that executes while calls are put into it. */
static pid_t exec_meanwhile(struct identity *id)
{
	pid_t injector, pid;

	personality(ADDR_NO_RANDOMIZE);
	pid = victim_of(round_exec, id);
	personality(0);
	injector = inject_beside(id);
	await_first_calls(pid);
	told->go = 1;
	waitpid(injector, NULL, 0);
	return pid;
}

static void test_exec(void)
{
	struct identity id;
	pid_t pid = exec_meanwhile(&id);

	for (int i = 0; i < BUSY_TRIES && told->result == 1 + EBUSY; i++) {
		identity_close(&id);
		end(pid);
		pid = exec_meanwhile(&id);
	}
	while (told->ready < 2 && !waitpid(pid, NULL, WNOHANG))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ok(told->ready == 2, "inject: executed program: it runs where the former one had its vDSO");
	is_u64(ESTALE, (uint64_t)told->result - 1, "inject: executed program: the injection ends as changed");
	is_alive(pid, "executed program");
	is_u64(0, mergeable(pid), "inject: executed program: it is not advised");
	identity_close(&id);
	end(pid);
}

/* ---- another process, another user ---- */

static void round_poll(void)
{
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (told->go == 1 && syscall(SYS_setresuid, 65534, 65534, 65534))
		wrong("setresuid", -1);
	if (told->go == 1)
		told->go = 2;
}

static int inject_some(const struct identity *id, size_t n)
{
	struct injection done;
	int err = EBUSY;

	for (int i = 0; i < BUSY_TRIES && err == EBUSY; i++)
		err = -inject_madvise(id, MADV_MERGEABLE, ranges, n, INJECT_TIMEOUT_MS, &done);
	return err;
}

static int inject_now(const struct identity *id)
{
	return inject_some(id, RANGES);
}

static void test_number_used_again(void)
{
	struct identity id;
	pid_t pid = victim_of(round_poll, &id);
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1 };

	end(pid);
	memset(told, 0, sizeof(*told));
	if (!syscall(SYS_clone3, &args, sizeof(args)))
		live(round_poll, RANGES);
	until(&told->ready);
	ranges_of(ranges, RANGES);
	is_u64(0, (uint64_t)kill(pid, 0), "inject: number used again: a process has it");
	is_u64(ESRCH, (uint64_t)inject_now(&id), "inject: number used again: the former process is reported as gone");
	is_u64(0, mergeable(pid), "inject: number used again: the new process is not advised");
	is_alive(pid, "number used again");
	identity_close(&id);
	end(pid);
}

static void test_user_changed(void)
{
	struct identity id;
	pid_t pid = victim_of(round_poll, &id);

	told->go = 1;
	while (told->go == 1)
		;
	is_u64(ESTALE, (uint64_t)inject_now(&id), "inject: user changed: the process is refused");
	is_u64(0, mergeable(pid), "inject: user changed: the process is not advised");
	is_alive(pid, "user changed");
	identity_close(&id);
	end(pid);
}

/* ---- a deadline ---- */

static void test_deadline(void)
{
	struct identity id;
	struct injection done = {};
	pid_t pid = victim_of(round_poll, &id);
	int err = -inject_madvise(&id, MADV_MERGEABLE, ranges, RANGES, 50, &done);

	is_u64(ETIMEDOUT, (uint64_t)err, "inject: deadline: an injection that takes longer is given up");
	ok(done.calls < RANGES, "inject: deadline: not all ranges are advised");
	is_alive(pid, "deadline");
	identity_close(&id);
	end(pid);
}

/* ---- a process that keeps the lock of its memory ---- */

static const char mount_point[] = "/etc/passwd"; /* for this test and its children */

static void answer(int fuse, const struct fuse_in_header *in, const void *data, size_t size)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + size), .unique = in->unique };
	struct iovec parts[] = { { &head, sizeof(head) }, { (void *)data, size } };

	if (writev(fuse, parts, 2) < 0)
		_exit(1);
}

/* Of a file system whose only file is its root: the second one who opens it gets direct I/O. Reads are never answered. */
static void serve(int fuse)
{
	static uint8_t request[1 << 20];
	const struct fuse_in_header *in = (void *)request;
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = PAGE };
	struct fuse_attr_out attr = { .attr_valid = 1000,
				      .attr = { .ino = 1, .mode = S_IFREG | 0600, .nlink = 1, .size = PAGE } };
	struct fuse_open_out opened = { .open_flags = FOPEN_KEEP_CACHE };

	while (read(fuse, request, sizeof(request)) > 0)
		if (in->opcode == FUSE_INIT) {
			answer(fuse, in, &init, sizeof(init));
		} else if (in->opcode == FUSE_GETATTR) {
			answer(fuse, in, &attr, sizeof(attr));
		} else if (in->opcode == FUSE_OPEN) {
			answer(fuse, in, &opened, sizeof(opened));
			opened.open_flags |= FOPEN_DIRECT_IO;
		} else if (in->opcode == FUSE_READ) {
			told->ready = 2;
		}
}

/* Whoever waits for the file system goes on once this is killed. */
static pid_t start_server(void)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];
	pid_t pid;

	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", fuse);
	if (fuse < 0 || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("inject", mount_point, "fuse", 0, options))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fuse);
		_exit(0);
	}
	close(fuse);
	return pid;
}

/* Of a page that is being read, the mapping waits, and has the lock. */
static void *take_lock(void *unused)
{
	int fd;

	until(&told->go);
	fd = open(mount_point, O_RDONLY);
	told->go = 2;
	(void)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	return unused;
}

static void round_locked(void)
{
	static pthread_t thread;

	if (!thread && pthread_create(&thread, NULL, take_lock, NULL))
		_exit(1);
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static pid_t read_file(void)
{
	pid_t pid = fork();

	if (!pid) {
		char byte;

		_exit(read(open(mount_point, O_RDONLY), &byte, 1) != 1);
	}
	return pid;
}

static void test_lock(void)
{
	struct identity id;
	struct injection done;
	pid_t server = start_server(), pid, reader;
	int err = 0;

	if (server < 0) {
		ok(true, "inject: kept lock # SKIP there is no FUSE");
		return;
	}
	pid = victim_of(round_locked, &id);
	reader = read_file();
	while (told->ready != 2)
		;
	told->go = 1;
	while (told->go == 1)
		;
	for (int i = 0; i < BUSY_TRIES && (!err || err == EBUSY); i++) /* it may not have the lock yet */
		err = -inject_madvise(&id, MADV_MERGEABLE, ranges, 1, 1000, &done);
	is_u64(ETIMEDOUT, (uint64_t)err, "inject: kept lock: an injection that waits for it is given up");
	end(server);
	umount2(mount_point, MNT_DETACH);
	waitpid(reader, NULL, 0);
	is_alive(pid, "kept lock");
	is_u64(0, (uint64_t)inject_now(&id), "inject: kept lock: all ranges are advised afterwards");
	identity_close(&id);
	end(pid);
}

/* ---- system calls that are dispatched to their process ---- */

static void round_dispatched(void)
{
	static volatile char selector;
	static bool begun;

	selector = 0;
	if (!begun && prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector))
		wrong("prctl", -1);
	begun = true;
	selector = 1; /* from now on a system call kills */
	for (volatile int i = 0; i < 1000000; i++)
		;
}

static void test_dispatch(void)
{
	struct identity id;
	pid_t pid = victim_of(round_dispatched, &id);

	is_u64(EOPNOTSUPP, (uint64_t)inject_now(&id), "inject: dispatched system calls: the process is refused");
	is_alive(pid, "dispatched system calls");
	identity_close(&id);
	end(pid);
}

/* ---- a filter that kills, and an injector's parent that ends in the middle of a step ---- */

static void round_filtered(void)
{
	static bool begun;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	if (!begun && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)))
		_exit(1);
	begun = true;
	for (volatile int i = 0; i < 100000; i++)
		;
}

static void test_step_ends(void)
{
	struct identity id;
	pid_t pid = victim_of(round_filtered, &id);
	bool lives = true;

	for (int i = 0; i < 150 && lives; i++) {
		pid_t parent = inject_beside(&id);

		nanosleep(&(struct timespec){ .tv_nsec = 1000000 + random() % 12000000 }, NULL);
		kill(parent, i % 2 ? SIGKILL : SIGTERM);
		waitpid(parent, NULL, 0);
		lives = waitpid(pid, NULL, WNOHANG) == 0;
	}
	ok(lives, "inject: filter that kills: no end of the injector's parent lets it see a call");
	ok(mergeable(pid) > 0, "inject: filter that kills: the process is advised");
	is_alive(pid, "filter that kills");
	identity_close(&id);
	end(pid);
}

/* ---- many groups: /proc/PID/status has them before the filter and the capabilities ---- */

static void take_groups(void)
{
	static gid_t groups[2000];

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		groups[i] = 1000000000 + (gid_t)i;
	if (setgroups(ARRAY_SIZE(groups), groups))
		wrong("setgroups", -1);
}

static void round_groups_filtered(void)
{
	static bool begun;

	if (!begun)
		take_groups();
	begun = true;
	round_filtered();
}

static void test_groups_filter(void)
{
	struct identity id;
	pid_t pid = victim_of(round_groups_filtered, &id);

	is_u64(0, (uint64_t)inject_some(&id, 20), "inject: many groups, filter that kills: all ranges are advised");
	is_u64(20, mergeable(pid), "inject: many groups, filter that kills: the pages are mergeable");
	is_alive(pid, "many groups, filter that kills");
	identity_close(&id);
	end(pid);
}

static void round_groups(void)
{
	static bool begun;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	if (!begun)
		take_groups();
	begun = true;
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (told->go == 1 && syscall(SYS_capset, &head, none))
		wrong("capset", -1);
	if (told->go == 1)
		told->go = 2;
}

static void test_groups_capabilities(void)
{
	struct identity id;
	pid_t pid = victim_of(round_groups, &id);

	told->go = 1;
	while (told->go == 1)
		;
	is_u64(ESTALE, (uint64_t)inject_some(&id, 20), "inject: many groups, capabilities changed: the process is refused");
	is_u64(0, mergeable(pid), "inject: many groups, capabilities changed: the process is not advised");
	is_alive(pid, "many groups, capabilities changed");
	identity_close(&id);
	end(pid);
}

/* ---- an event loop ---- */

static _Atomic uint64_t *twin_rounds;

static void round_loop(void)
{
	static int fd;
	struct epoll_event e;

	fd = fd ?: epoll_create1(0);
	if (epoll_wait(fd, &e, 1, 10) < 0 && errno != EINTR)
		wrong("epoll_wait", -1);
}

static void be_twin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; (*twin_rounds)++)
		round_loop();
}

static void test_loop(void)
{
	struct identity id;
	uint64_t rounds, twins;
	pid_t pid, twin;

	twin_rounds = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	twin = fork();
	if (!twin)
		be_twin();
	pid = victim_of(round_loop, &id);
	rounds = told->rounds;
	twins = *twin_rounds;
	is_u64(0, (uint64_t)inject_now(&id), "inject: event loop: all ranges are advised");
	rounds = told->rounds - rounds;
	twins = *twin_rounds - twins;
	ok(rounds * 4 >= twins * 3, "inject: event loop: it has three of four time-outs at least: %llu, another one %llu",
	   (unsigned long long)rounds, (unsigned long long)twins);
	is_alive(pid, "event loop");
	identity_close(&id);
	end(pid);
	end(twin);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "text"))
		be_text(argv[2]);
	memory = memfd_create("told", 0);
	if (memory < 0 || ftruncate(memory, sizeof(*told)))
		return 1;
	share_told();
	srandom((unsigned int)getpid());
	test_exec();
	test_number_used_again();
	test_user_changed();
	test_deadline();
	test_lock();
	test_dispatch();
	test_step_ends();
	test_groups_filter();
	test_groups_capabilities();
	test_loop();
	return done_testing();
}
