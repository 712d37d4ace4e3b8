// SPDX-License-Identifier: GPL-2.0
/* budget: 20, lane: free */
/*
 * Puts calls of madvise() into other processes: all ranges are advised, and whatever the process does meanwhile, waiting or
 * computing, with signals or without, it continues undisturbed; also if the injector is killed at any moment.
 * "inject stops" only measures for how long threads are stopped: tests/dedup/stops.sh runs it where time counts instructions.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>

#include "agent/dedup/inject.h"
#include "agent/lib/util.h"
#include "tests/dedup/victim.h"
#include "tests/harness/tap.h"

#define RANGES 300

static uint64_t ms_since(uint64_t began)
{
	return (now_ns() - began) / 1000000;
}

/* ---- what victims are about: a round each ---- */

static void round_nanosleep(void)
{
	uint64_t began = now_ns();
	int err = nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);

	if (err || ms_since(began) < 20)
		wrong("nanosleep", err);
}

static void round_poll(void)
{
	uint64_t began = now_ns();
	int n = poll(NULL, 0, 20);

	if (n || ms_since(began) < 20)
		wrong("poll", n);
}

static void round_epoll(void)
{
	static int fd;
	struct epoll_event e;
	uint64_t began = now_ns();
	int n;

	fd = fd ?: epoll_create1(0);
	n = epoll_wait(fd, &e, 1, 20);
	if (n < 0 && errno == EINTR) /* on a busy machine there may be no moment to begin it anew */
		return;
	if (n || ms_since(began) < 20)
		wrong("epoll_wait", n);
}

static void round_sigwait(void)
{
	sigset_t set;
	int n;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	n = sigtimedwait(&set, NULL, &(struct timespec){ .tv_nsec = 20000000 });
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		wrong("sigtimedwait", n);
}

static void round_futex(void)
{
	static uint32_t word;
	long err = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){ .tv_nsec = 20000000 });

	if (err >= 0 || errno != ETIMEDOUT)
		wrong("futex", err);
}

/* Reads what a child writes a bit later: nothing may get lost or come twice. */
static void round_read(void)
{
	static int pipes[2];
	static uint32_t next;
	uint32_t got = 0;

	if (!pipes[0]) {
		if (pipe(pipes))
			_exit(1);
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (uint32_t i = 0;; i++) {
				nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
				if (write(pipes[1], &i, sizeof(i)) != sizeof(i))
					_exit(1);
			}
		}
	}
	if (read(pipes[0], &got, sizeof(got)) != sizeof(got) || got != next++)
		wrong("read", got);
}

/* The registers, the flags and the vector registers, by sums that have to come out as the first time. */
static void round_compute(void)
{
	static uint64_t first_a, first_b;
	static double first_x;
	uint64_t a = 1, b = 2;
	double x = 0;

	for (uint64_t i = 1; i <= 1000000; i++) {
		b += __builtin_add_overflow(a, 0x9e3779b97f4a7c15, &a) + (a >> 63);
		x += 1.0 / (double)i;
	}
	if (!told->rounds) {
		first_a = a;
		first_b = b;
		first_x = x;
	}
	if (a != first_a || b != first_b || x != first_x)
		wrong("sum", (long)b);
}

static void count_signal(int nr)
{
	(void)nr;
	told->signals++;
}

/* Handlers all the time, in user space and in system calls. */
static void round_signals(void)
{
	static bool begun;
	int n;

	if (!begun) {
		begun = true;
		sigaction(SIGALRM, &(struct sigaction){ .sa_handler = count_signal }, NULL);
		setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 700 }, { 0, 700 } }, NULL);
	}
	n = poll(NULL, 0, 5);
	if (n && errno != EINTR)
		wrong("poll with signals", n);
	for (volatile int i = 0; i < 100000; i++)
		;
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void round_threads(void)
{
	static pthread_t thread;

	if (!thread && pthread_create(&thread, NULL, sleep_for_ever, NULL))
		_exit(1);
	round_poll();
}

/* The filter kills for madvise(), and refuses getuid(): its own calls it has to see, all the time. */
static void round_filtered(void)
{
	static bool begun;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	if (!begun && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)))
		_exit(1);
	begun = true;
	for (int i = 0; i < 10000; i++)
		if (syscall(SYS_getuid) >= 0)
			wrong("a call that the filter refuses", i);
	poll(NULL, 0, 1);
}

/* ---- what is looked at ---- */

static const char *text(const char *name, const char *claim)
{
	static char all[128];

	snprintf(all, sizeof(all), "inject: %s: %s", name, claim);
	return all;
}

/* What a victim has as its vDSO, all of the pages; a process of ours has the same at the same place. */
static bool same_vdso(pid_t pid)
{
	char path[64], line[512];
	_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin = 0, end = 0;
	_free_ uint8_t *theirs = NULL;
	_close_ int memory = -1;

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]"))
			sscanf(line, "%lx-%lx", &begin, &end);
	theirs = malloc(end - begin + 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	return begin && pread(memory, theirs, end - begin, (off_t)begin) == (ssize_t)(end - begin) &&
	       !memcmp(theirs, (const void *)begin, end - begin);
}

/* A busy machine may not run a thread for as long as the injector waits for its stop. */
static int advise(pid_t pid, int advice, const struct inject_range *ranges)
{
	struct injection done;
	int err = -EBUSY;

	for (int i = 0; i < 20 && err == -EBUSY; i++)
		err = inject_pid(pid, advice, ranges, RANGES, &done);
	return err;
}

static void test_advice(const char *name, void (*round)(void))
{
	struct inject_range ranges[RANGES];
	pid_t pid = victim(round, RANGES);
	int err = 0;

	ranges_of(ranges, RANGES);
	is_u64(0, (uint64_t)-advise(pid, MADV_MERGEABLE, ranges), text(name, "all ranges are advised"));
	is_u64(RANGES, mergeable(pid), text(name, "all ranges are mergeable"));
	for (int i = 0; i < 4 && !err; i++)
		err = advise(pid, i % 2 ? MADV_MERGEABLE : MADV_UNMERGEABLE, ranges);
	is_u64(0, (uint64_t)-err, text(name, "all ranges are advised back, and again"));
	is_u64(RANGES, mergeable(pid), text(name, "all ranges are mergeable again"));
	ok(same_vdso(pid), "inject: %s: no trace stays in the vDSO", name);
	is_alive(pid, name);
	end(pid);
}

/* Only where time does not depend on the machine: the limit holds for each stop. */
static void test_stops(const char *name, void (*round)(void))
{
	struct inject_range ranges[RANGES];
	struct injection done = {};
	pid_t pid = victim(round, RANGES);
	int err;

	ranges_of(ranges, RANGES);
	err = inject_pid(pid, MADV_MERGEABLE, ranges, RANGES, &done);
	ok(!err && done.steps && done.longest_ns < INJECT_STOP_MAX_NS, "inject: %s: no stop exceeds 2 ms: %llu us", name,
	   (unsigned long long)done.longest_ns / 1000);
	ok(same_vdso(pid), "inject: %s: no trace stays in the vDSO", name);
	printf("# %llu calls in %llu steps, %llu us in all\n", (unsigned long long)done.calls, (unsigned long long)done.steps,
	       (unsigned long long)done.total_ns / 1000);
	end(pid);
}

/*
 * Whoever injects is killed at a random moment, its child with it. Then a call that signal(7) says a stop may end with EINTR,
 * such as epoll_wait(), may end so; the others may not.
 */
static void test_kills(const char *name, void (*round)(void), int kills)
{
	struct inject_range ranges[RANGES];
	struct injection done;
	pid_t pid = victim(round, RANGES);

	ranges_of(ranges, RANGES);
	for (int i = 0; i < kills; i++) {
		pid_t injector = fork();

		setpgid(injector, injector); /* its child is in its group, too */
		if (!injector) {
			setpgid(0, 0);
			inject_pid(pid, i % 2 ? MADV_MERGEABLE : MADV_UNMERGEABLE, ranges, RANGES, &done);
			_exit(0);
		}
		nanosleep(&(struct timespec){ .tv_nsec = random() % 12000000 }, NULL);
		kill(-injector, SIGKILL);
		waitpid(injector, NULL, 0);
	}
	is_alive(pid, name);
	is_u64(0, (uint64_t)-advise(pid, MADV_MERGEABLE, ranges), text(name, "the ranges can be advised afterwards"));
	is_u64(RANGES, mergeable(pid), text(name, "all ranges are mergeable afterwards"));
	end(pid);
}

/* ---- processes that it does not work with ---- */

static void test_refusals(void)
{
	struct inject_range ranges[RANGES];
	struct injection done;
	pid_t pid = victim(round_poll, RANGES);

	ranges_of(ranges, RANGES);
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	is_u64(EBUSY, (uint64_t)-inject_pid(pid, MADV_MERGEABLE, ranges, 1, &done), "inject: a stopped process is refused");
	is_u64(0, mergeable(pid), "inject: a stopped process is not advised");
	kill(pid, SIGCONT);
	is_alive(pid, "a process that was stopped and continued");
	ptrace(PTRACE_SEIZE, pid, 0, 0);
	is_u64(EPERM, (uint64_t)-inject_pid(pid, MADV_MERGEABLE, ranges, 1, &done),
	       "inject: a process with a debugger is refused");
	ptrace(PTRACE_DETACH, pid, 0, 0);
	end(pid);
	is_u64(ESRCH, (uint64_t)-inject_pid(pid, MADV_MERGEABLE, ranges, 1, &done),
	       "inject: a process that has ended is reported as gone");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*round)(void);
	} all[] = {
		{ "nanosleep", round_nanosleep },     { "poll", round_poll },	    { "epoll", round_epoll },
		{ "sigtimedwait", round_sigwait },    { "futex", round_futex },	    { "read", round_read },
		{ "computing", round_compute },	      { "signals", round_signals }, { "threads", round_threads },
		{ "seccomp filter", round_filtered },
	};

	told_open();
	srandom((unsigned int)getpid());
	if (argc > 1 && !strcmp(argv[1], "stops")) {
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			if (all[i].round !=
			    round_signals) /* its timer leaves an emulated processor no time; signals end stops early */
				test_stops(all[i].name, all[i].round);
		return done_testing();
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		test_advice(all[i].name, all[i].round);
	test_kills("killed while the process waits", round_poll, 100);
	test_kills("killed while the process sleeps", round_nanosleep, 100);
	test_kills("killed while the process computes", round_compute, 100);
	test_kills("killed while signals come", round_signals, 100);
	test_refusals();
	return done_testing();
}
