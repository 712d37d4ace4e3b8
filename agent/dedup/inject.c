// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/rseq.h>

#include "agent/dedup/inject.h"
#include "agent/dedup/inject_code.h"
#include "agent/dedup/inject_wait.h"
#include "agent/lib/child.h"
#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"

#define STEP_NS 600000 /* after which a step is cut short: two stops and a call that is under way come on top */
#define LOOK_NS 100000 /* so often it is looked whether the thread is through */
#define STOP_TIMEOUT_NS 50000000 /* to stop a thread that is at its own work */
#define CALL_TIMEOUT_NS 1000000000 /* to stop one that makes our calls: one of its process may hold the lock of its memory */
#define END_TIMEOUT_MS 2000 /* to end a step, or to be killed */
#define TRIES 100 /* to stop a thread at a place that it may be sent away from */
#define PAUSE 10 /* times as long as a step it is left alone */

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG /* Linux 6.4 */
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
struct ptrace_sud_config {
	uint64_t mode, selector, offset, len;
};
#endif

enum { BY_FILTER = 1 }; /* si_code of a SIGSYS: SYS_SECCOMP of asm-generic/siginfo.h, which glibc lacks */

/* The thread that is used. */
struct tracee {
	const struct identity *id;
	pid_t tid;
	int memory; /* of the process, to be read while it is stopped */
	struct inject_code code;
	size_t dirty; /* ranges whose space may not be as it was before */
	bool filter; /* of seccomp */
	bool restarted; /* a call whose time limit the kernel forgets */
	uint64_t let_go_ns; /* when it was, last */
};

/* ---- stopping ---- */

/* Why a thread has stopped. */
struct stop {
	struct user_regs_struct regs;
	int signal; /* that is about to be handled; 0: none */
	bool at_call; /* at the begin or end of a system call; only of one with a filter */
};

/*
 * Waits up to @timeout_ns until the thread has stopped, of which SIGCHLD, which is blocked, tells. -EAGAIN: it has not; -EBUSY:
 * it is stopped by job control; -ESTALE: it has executed a program.
 */
static int await_stop(const struct tracee *t, uint64_t timeout_ns, struct stop *ret)
{
	uint64_t until = now_ns() + timeout_ns, now;
	sigset_t child;
	pid_t got;
	int status, event;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!(got = waitpid(t->tid, &status, __WALL | WNOHANG))) {
		now = now_ns();
		if (now >= until)
			return -EAGAIN;
		sigtimedwait(&child, NULL,
			     &(struct timespec){ .tv_sec = (long)((until - now) / 1000000000),
						 .tv_nsec = (long)((until - now) % 1000000000) });
	}
	if (got < 0 || !WIFSTOPPED(status))
		return -ESRCH;
	event = status >> 16;
	if (event == PTRACE_EVENT_EXEC)
		return -ESTALE;
	if (event && WSTOPSIG(status) != SIGTRAP)
		return -EBUSY;
	ret->at_call = WSTOPSIG(status) == (SIGTRAP | 0x80); /* PTRACE_O_TRACESYSGOOD */
	ret->signal = event || ret->at_call ? 0 : WSTOPSIG(status);
	return ptrace(PTRACE_GETREGS, t->tid, 0, &ret->regs) ? -errno : 0;
}

/* @late: it does not stop within @timeout_ns. */
static int stop(const struct tracee *t, uint64_t timeout_ns, int late, struct stop *ret)
{
	int err = ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) ? -errno : await_stop(t, timeout_ns, ret);

	return err == -EAGAIN ? late : err;
}

/* Is there one of those that are waiting, of the thread's or the process', that it does not block? */
static bool has_signal_of(const struct tracee *t, uint64_t blocked, unsigned int flags)
{
	struct __ptrace_peeksiginfo_args some = { .off = 0, .flags = flags, .nr = 32 };
	siginfo_t waiting[32];
	long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &some, waiting);

	for (long i = 0; i < n; i++)
		if (!(blocked & 1ULL << (waiting[i].si_signo - 1)))
			return true;
	return n < 0 || n == 32;
}

/* A signal that is to be handled would end a system call, which is then not to be begun anew. */
static bool has_signals(const struct tracee *t)
{
	uint64_t blocked;

	return ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(blocked), &blocked) || has_signal_of(t, blocked, 0) ||
	       has_signal_of(t, blocked, PTRACE_PEEKSIGINFO_SHARED);
}

/* ---- a thread that may be sent away ---- */

/* In a critical section of restartable sequences (rseq(2)) the kernel has to see where the thread goes on. */
static bool is_in_sequence(const struct tracee *t, const struct user_regs_struct *r)
{
	struct __ptrace_rseq_configuration conf = {};
	struct rseq_cs section;
	uint64_t at = 0;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(conf), &conf) != sizeof(conf) || !conf.rseq_abi_pointer)
		return false;
	if (pread(t->memory, &at, sizeof(at), (off_t)(conf.rseq_abi_pointer + offsetof(struct rseq, rseq_cs))) != sizeof(at))
		return true;
	if (!at)
		return false;
	return pread(t->memory, &section, sizeof(section), (off_t)at) != sizeof(section) ||
	       r->rip - section.start_ip < section.post_commit_offset;
}

static bool is_64_bit(const struct user_regs_struct *r)
{
	return r->cs == 0x33;
}

/* Our calls would raise SIGSYS. Before Linux 6.4 nobody tells; there the first call does, see is_raised_by_code(). */
static bool dispatches_calls(pid_t tid)
{
	struct ptrace_sud_config conf = {};

	return !ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(conf), &conf) && conf.mode;
}

/* A filter that is overlooked may kill the process: if in doubt, it has one. */
static bool has_filter(const struct tracee *t)
{
	__u64 mode;

	return proc_status_number(t->id->proc, "Seccomp", &mode) || mode;
}

/*
 * Is it the process that was meant, at a place that it can be sent away from? While it is stopped it stays that. Its filter is
 * suspended from now on, until it is let go.
 */
static int check(struct tracee *t, const struct stop *at)
{
	int err = identity_check(t->id);

	if (err)
		return err;
	if (at->signal || has_signals(t) || is_in_sequence(t, &at->regs) || inject_code_has(&t->code, &at->regs))
		return -EAGAIN;
	if (!is_64_bit(&at->regs) || !inject_code_fits(&t->code, t->memory))
		return -ENOEXEC;
	if (dispatches_calls(t->tid))
		return -EOPNOTSUPP;
	t->filter = has_filter(t);
	if (t->filter &&
	    ptrace(PTRACE_SETOPTIONS, t->tid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP))
		return -EACCES;
	return 0;
}

/* ---- letting go ---- */

/* A call that a stop has interrupted begins anew. */
static void restart(struct tracee *t, struct stop *at, bool fresh)
{
	if (at->at_call || at->signal || has_signals(t))
		return;
	t->restarted = inject_wait_restart(&at->regs, fresh);
	ptrace(PTRACE_SETREGS, t->tid, 0, &at->regs);
}

/* The thread is at its own work; nothing of ours stays in its memory, if that is still the one that was checked. */
static int let_go(struct tracee *t, int signal)
{
	int err = identity_has_memory(t->id) ? inject_code_erase(&t->code, t->tid, t->dirty) : -ESTALE;

	if (ptrace(PTRACE_DETACH, t->tid, 0, signal))
		err = err ?: -errno;
	t->let_go_ns = now_ns(); /* it may have our processor first */
	return err;
}

/* A handler must not run on top of the code, which the next step writes anew: the thread goes back to its own work first. */
static int take_back(struct tracee *t, const struct user_regs_struct *own, int signal)
{
	return ptrace(PTRACE_SETREGS, t->tid, 0, own) ? -errno : let_go(t, signal);
}

/* It has returned to its own work, and may be in a system call by now: one that began in this step. */
static int leave(struct tracee *t, struct stop *at)
{
	restart(t, at, true);
	return let_go(t, at->signal);
}

/* ---- a step ---- */

/* One whose filter is suspended stops at its next system call: its own ones the filter is to see. */
static int go_on(const struct tracee *t)
{
	return ptrace(t->filter ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0, 0) ? -errno : 0;
}

/* Other threads may have made the code writable, and their own, to have calls made that a filter is not to see. */
static bool is_our_call(const struct user_regs_struct *r, int advice)
{
	return r->orig_rax == SYS_madvise && r->rdx == (uint64_t)advice;
}

/* A signal that the code itself has raised is nothing that its process should see. Returns why it has, 0: it has not. */
static int is_raised_by_code(const struct tracee *t, const struct stop *at)
{
	siginfo_t info;

	if (!at->signal || ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) || info.si_code <= 0)
		return 0;
	if (at->signal == SIGSYS)
		return info.si_code == BY_FILTER ? -EACCES : -EOPNOTSUPP;
	return at->signal == SIGSEGV || at->signal == SIGBUS || at->signal == SIGILL || at->signal == SIGTRAP ? -ENOEXEC : 0;
}

/* What a step is about. */
struct step {
	struct user_regs_struct own; /* that the thread returns to */
	uint64_t began;
	int advice;
	size_t n, sent; /* ranges; those that the thread was told of by now */
};

/*
 * If there is no filter, tells the thread of all ranges. If there is one, of a single one at a time: should we be killed, or
 * give up, while it is in a call, then there is no further one for the filter to see.
 */
static int send(const struct tracee *t, struct step *s)
{
	size_t n = t->filter ? 1 : s->n;
	int err = inject_code_send(&t->code, t->tid, &s->own, s->advice, s->sent, n);

	s->sent += n;
	return err ?: go_on(t);
}

/* The thread is in the code. 1: it runs on; 0: the step has ended, *@ret_left calls are left; -errno. */
static int look(struct tracee *t, struct step *s, const struct stop *at, size_t *ret_left)
{
	int err = is_raised_by_code(t, at);
	bool late;

	*ret_left = s->n - s->sent + inject_code_left(&t->code, &at->regs);
	late = now_ns() - s->began > STEP_NS && *ret_left < s->n;
	if (at->at_call && !is_our_call(&at->regs, s->advice))
		err = -EACCES;
	if (err)
		return take_back(t, &s->own, 0) ?: err;
	if (at->signal || late)
		return take_back(t, &s->own, at->signal);
	if (at->at_call && s->sent < s->n && inject_code_has_made(&t->code, &at->regs))
		return send(t, s) ?: 1;
	return go_on(t) ?: 1;
}

/* Until the thread is back at its own work, or has made a call and has no more time; lets go of it. Returns the ranges left. */
static ssize_t make_calls(struct tracee *t, struct step *s)
{
	struct stop at;
	size_t left = 0;
	int err = send(t, s) ?: 1;

	while (err == 1) {
		err = await_stop(t, LOOK_NS, &at);
		if (err == -EAGAIN)
			err = stop(t, CALL_TIMEOUT_NS, -ETIMEDOUT, &at);
		if (err)
			break;
		if (inject_code_has(&t->code, &at.regs)) {
			err = look(t, s, &at, &left);
		} else {
			left = s->n - s->sent;
			err = leave(t, &at);
		}
	}
	return err ?: (ssize_t)left;
}

/*
 * Stops the thread at a place that it can be sent away from; *@own is what it was about. -EAGAIN: it is at no such place now;
 * it was let go, as after any error of check(). @fresh: what it is stopped in has just begun.
 */
static int hold(struct tracee *t, bool fresh, struct user_regs_struct *own)
{
	struct stop at;
	int err = ptrace(PTRACE_SEIZE, t->tid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)
			  ? -errno
			  : stop(t, STOP_TIMEOUT_NS, -EBUSY, &at);

	if (err)
		return err;
	t->memory = openat(t->id->proc, "mem", O_RDONLY | O_CLOEXEC);
	err = check(t, &at);
	close_p(&t->memory);
	if (err && err != -ESTALE && err != -ESRCH)
		restart(t, &at, fresh);
	if (err) {
		ptrace(PTRACE_DETACH, t->tid, 0, at.signal);
		return err;
	}
	t->restarted = inject_wait_restart(&at.regs, fresh);
	*own = at.regs;
	return 0;
}

static void count(struct injection *to, const struct step *s, size_t left, uint64_t took)
{
	to->calls += s->n - left;
	to->steps++;
	to->total_ns += took;
	if (took > to->longest_ns)
		to->longest_ns = took;
}

/* Returns how many of the ranges were advised, or -errno as above. */
static ssize_t step(struct tracee *t, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	bool fresh = inject_wait_moment(t->id->proc, t->restarted);
	ssize_t left = identity_check(t->id); /* so that no other process is stopped even for a moment */
	struct step s = { .began = now_ns(), .advice = advice, .n = n };
	uint64_t took;

	left = left ?: hold(t, fresh, &s.own);
	if (left)
		return left;
	t->dirty = t->dirty > n ? t->dirty : n;
	left = inject_code_write(&t->code, t->tid, ranges, n) ?: make_calls(t, &s);
	if (left < 0)
		return left;
	t->dirty = 0;
	took = t->let_go_ns - s.began;
	count(ret, &s, (size_t)left, took);
	nanosleep(&(struct timespec){ .tv_nsec = (long)(took * PAUSE % 1000000000) }, NULL);
	return (ssize_t)n - left;
}

/* ---- all of it ---- */

/* Signals are blocked, so that they do not end us in the middle of a step. */
static bool is_to_end(void)
{
	sigset_t waiting;

	return !sigpending(&waiting) && (sigismember(&waiting, SIGTERM) || sigismember(&waiting, SIGINT) ||
					 sigismember(&waiting, SIGQUIT) || sigismember(&waiting, SIGHUP));
}

/* A thread that cannot be stopped now may be later; one step after another, of as many ranges as are made in time. */
static int advise(struct tracee *t, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	size_t most = 8 < t->code.ranges_max ? 8 : t->code.ranges_max;
	unsigned int tries = 0;

	while (n && !is_to_end()) {
		size_t want = n < most ? n : most;
		ssize_t got = step(t, advice, ranges, want, ret);

		if (got == -EAGAIN && ++tries < TRIES)
			nanosleep(&(struct timespec){ .tv_nsec = 300000 + 37000 * tries }, NULL); /* a timer may beat with us */
		else if (got < 0)
			return got == -EAGAIN ? -EBUSY : (int)got;
		if (got < 0)
			continue;
		tries = 0;
		if ((size_t)got < want)
			most = got ? (size_t)got : 1;
		else if (most * 2 <= t->code.ranges_max)
			most *= 2;
		ranges += got;
		n -= (size_t)got;
	}
	return n ? -EINTR : 0;
}

/* In the child. Its priority: a thread waits for it; without CAP_SYS_NICE it waits longer where others do, too. */
static int inject(const struct identity *id, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	struct tracee t = { .id = id, .tid = id->tid, .memory = -1 };
	int err = identity_check(id) ?: inject_code_find(id->proc, &t.code);

	if (err)
		return err;
	t.dirty = t.code.ranges_max; /* an injector that was killed may have left something */
	setpriority(PRIO_PROCESS, 0, -20);
	return advise(&t, advice, ranges, n, ret);
}

struct shared {
	struct injection done;
	int err;
};

/* Its signals stay blocked. It is told by SIGTERM that this thread ends. */
static pid_t start(const struct identity *id, int advice, const struct inject_range *ranges, size_t n, struct shared *s)
{
	sigset_t all, former;
	pid_t child;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &former);
	child = child_fork(SIGTERM);
	if (!child) {
		s->err = inject(id, advice, ranges, n, &s->done);
		_exit(0);
	}
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	return child;
}

/* Ends its step first, if that can be. */
static void end(pid_t child)
{
	kill(child, SIGTERM);
	if (child_wait(child, END_TIMEOUT_MS, NULL) != -ETIMEDOUT)
		return;
	kill(child, SIGKILL);
	child_wait(child, END_TIMEOUT_MS, NULL);
}

/* By a child: a thread that does not stop is let go when that ends. */
int inject_madvise(const struct identity *id, int advice, const struct inject_range *ranges, size_t n, int timeout_ms,
		   struct injection *ret)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int err;

	if (s == MAP_FAILED)
		return -EAGAIN;
	s->err = -EAGAIN;
	child = start(id, advice, ranges, n, s);
	err = child > 0 ? child_wait(child, timeout_ms, NULL) : 0;
	if (err)
		end(child);
	*ret = s->done;
	err = err ?: s->err;
	munmap(s, sizeof(*s));
	return err;
}
