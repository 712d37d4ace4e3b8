// SPDX-License-Identifier: GPL-2.0
/*
 * The code that a thread of the owner runs is put behind what its vDSO holds, which the kernel maps into every process,
 * executable, and rounds up to whole pages; the process gets a copy of that page. The code makes the calls and then puts back
 * every register by itself, the flags never changing, so that from the moment that the thread is sent there nobody else is
 * needed.
 *
 * A thread that was interrupted in a system call begins that anew afterwards.
 */
#include <elf.h>
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
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/rseq.h>

#include "agent/dedup/inject.h"
#include "agent/lib/child.h"
#include "agent/lib/util.h"

#define STEP_NS 600000 /* after which a step is cut short: two stops and a call that is under way come on top */
#define LOOK_NS 100000 /* so often it is looked whether the thread is through */
#define STOP_TIMEOUT_NS 50000000 /* to stop a thread that is at its own work */
/* To stop one that makes our calls: if we gave up, its own filter would see the calls that are left, and may kill it. */
#define CALLS_TIMEOUT_NS 10000000000
#define TRIES 100 /* to stop a thread at a place that it may be sent away from */
#define PAUSE 10 /* times as long as a step it is left alone */
#define RANGES_MAX 32 /* in a step */

/* linux/errno.h, not for user space */
enum { RESTARTSYS = 512, RESTARTNOINTR = 513, RESTARTNOHAND = 514, RESTART_BLOCK = 516 };

/* What the code finds behind itself, and then the ranges. */
struct frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rip;
};

/* rbx: ranges left; r12: the next one. Nothing here changes the flags, and no stack is used. */
__asm__(".pushsection .rodata\n"
	"inject_code:\n"
	"1:	mov %rbx, %rcx\n"
	"	jrcxz 2f\n"
	"	lea -1(%rbx), %rbx\n"
	"inject_code_taken:\n"
	"	mov (%r12), %rdi\n"
	"	mov 8(%r12), %rsi\n"
	"	mov %r13, %rdx\n"
	"	lea 16(%r12), %r12\n"
	"	mov $28, %eax\n" /* madvise */
	"	syscall\n"
	"inject_code_made:\n"
	"	jmp 1b\n"
	"2:\n"
	"inject_code_back:\n"
	"	mov 3f+0(%rip), %r15\n"
	"	mov 3f+8(%rip), %r14\n"
	"	mov 3f+16(%rip), %r13\n"
	"	mov 3f+24(%rip), %r12\n"
	"	mov 3f+32(%rip), %rbp\n"
	"	mov 3f+40(%rip), %rbx\n"
	"	mov 3f+48(%rip), %r11\n"
	"	mov 3f+56(%rip), %r10\n"
	"	mov 3f+64(%rip), %r9\n"
	"	mov 3f+72(%rip), %r8\n"
	"	mov 3f+80(%rip), %rax\n"
	"	mov 3f+88(%rip), %rcx\n"
	"	mov 3f+96(%rip), %rdx\n"
	"	mov 3f+104(%rip), %rsi\n"
	"	mov 3f+112(%rip), %rdi\n"
	"	jmp *3f+120(%rip)\n"
	"	.balign 16\n"
	"3:\n"
	"inject_code_end:\n"
	".popsection\n");
extern const uint8_t inject_code[], inject_code_taken[], inject_code_made[], inject_code_back[], inject_code_end[];

/* The thread that is used, and where its code goes. */
struct victim {
	pid_t tid; /* the process' first */
	int memory; /* of the process, to be read */
	uint64_t code; /* address */
	size_t ranges_max;
	bool filter; /* of seccomp */
	uint64_t let_go_ns; /* when it was, last */
	uint8_t former[2048]; /* what was there */
};

static size_t offset_of(const uint8_t *label)
{
	return (size_t)((uintptr_t)label - (uintptr_t)inject_code);
}

static size_t code_size(void)
{
	return offset_of(inject_code_end);
}

static size_t whole_size(size_t ranges)
{
	return code_size() + sizeof(struct frame) + ranges * sizeof(struct inject_range);
}

/* ---- where there is space ---- */

/* A file may be called so, too, but has an inode. */
static bool find_vdso(pid_t pid, uint64_t *begin, uint64_t *end)
{
	char path[64], line[4352], name[32];
	_fclose_ FILE *maps = NULL;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %*s 00:00 0 %31s", begin, end, name) == 3 && !strcmp(name, "[vdso]"))
			return true;
	return false;
}

/* Behind what the vDSO's program header counts; some kernels map section headers there, which nothing reads as it runs. */
static int find_space(struct victim *v)
{
	uint64_t begin, end, used;
	Elf64_Ehdr head;
	Elf64_Phdr load;

	if (!find_vdso(v->tid, &begin, &end) || pread(v->memory, &head, sizeof(head), (off_t)begin) != sizeof(head))
		return -ENOEXEC;
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != EM_X86_64 ||
	    pread(v->memory, &load, sizeof(load), (off_t)(begin + head.e_phoff)) != sizeof(load) || load.p_type != PT_LOAD)
		return -ENOEXEC;
	used = (load.p_filesz + 15) & ~15ULL;
	if (used > end - begin || end - begin - used < whole_size(1))
		return -ENOEXEC;
	v->code = begin + used;
	v->ranges_max = (end - begin - used - whole_size(0)) / sizeof(struct inject_range);
	if (v->ranges_max > RANGES_MAX)
		v->ranges_max = RANGES_MAX;
	return 0;
}

/* ---- a thread that may be sent there ---- */

/* Why a thread has stopped. */
struct stop {
	struct user_regs_struct regs;
	int signal; /* that is about to be handled; 0: none */
	bool at_call; /* at the begin or end of a system call; only of one with a filter */
};

/*
 * Waits up to @timeout_ns until the thread has stopped, of which SIGCHLD, which is blocked, tells. -EAGAIN: it has not; -EBUSY:
 * it is stopped by job control.
 */
static int await_stop(const struct victim *v, uint64_t timeout_ns, struct stop *ret)
{
	uint64_t until = now_ns() + timeout_ns, now;
	sigset_t child;
	pid_t got;
	int status, event;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!(got = waitpid(v->tid, &status, __WALL | WNOHANG))) {
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
	if (event && WSTOPSIG(status) != SIGTRAP)
		return -EBUSY;
	ret->at_call = WSTOPSIG(status) == (SIGTRAP | 0x80); /* PTRACE_O_TRACESYSGOOD */
	ret->signal = event || ret->at_call ? 0 : WSTOPSIG(status);
	return ptrace(PTRACE_GETREGS, v->tid, 0, &ret->regs) ? -errno : 0;
}

/* -EBUSY: it does not stop within @timeout_ns. */
static int stop(const struct victim *v, uint64_t timeout_ns, struct stop *ret)
{
	int err = ptrace(PTRACE_INTERRUPT, v->tid, 0, 0) ? -errno : await_stop(v, timeout_ns, ret);

	return err == -EAGAIN ? -EBUSY : err;
}

/* Those calls that fail with EINTR for a stop, though no signal comes; see signal(7). Nothing has happened in them yet. */
static bool is_interrupted_for_nothing(uint64_t call)
{
	switch (call) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_io_getevents:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
		return true;
	default:
		return false;
	}
}

/*
 * What the kernel would do with a thread that was stopped in a system call and goes on without a signal: begin that anew, one
 * with a time limit with what is left of that. See arch_do_signal_or_restart().
 */
static void begin_call_anew(struct user_regs_struct *r)
{
	int64_t result = (int64_t)r->rax;
	uint64_t call = r->orig_rax;

	if ((int64_t)call < 0)
		return;
	r->orig_rax = ~0ULL; /* the kernel has nothing to do any more */
	if (result == -RESTART_BLOCK)
		r->rax = SYS_restart_syscall;
	else if (result == -RESTARTSYS || result == -RESTARTNOINTR || result == -RESTARTNOHAND ||
		 (result == -EINTR && is_interrupted_for_nothing(call)))
		r->rax = call;
	else
		return;
	r->rip -= 2; /* to the syscall instruction */
}

/* Is there one of those that are waiting, of the thread's or the process', that it does not block? */
static bool has_signal_of(const struct victim *v, uint64_t blocked, unsigned int flags)
{
	struct __ptrace_peeksiginfo_args some = { .off = 0, .flags = flags, .nr = 32 };
	siginfo_t waiting[32];
	long n = ptrace(PTRACE_PEEKSIGINFO, v->tid, &some, waiting);

	for (long i = 0; i < n; i++)
		if (!(blocked & 1ULL << (waiting[i].si_signo - 1)))
			return true;
	return n < 0 || n == 32;
}

/* A signal that is to be handled would end a system call, which is then not to be begun anew. */
static bool has_signals(const struct victim *v)
{
	uint64_t blocked;

	return ptrace(PTRACE_GETSIGMASK, v->tid, sizeof(blocked), &blocked) || has_signal_of(v, blocked, 0) ||
	       has_signal_of(v, blocked, PTRACE_PEEKSIGINFO_SHARED);
}

/* In a critical section of restartable sequences (rseq(2)) the kernel has to see where the thread goes on. */
static bool is_in_sequence(const struct victim *v, const struct user_regs_struct *r)
{
	struct __ptrace_rseq_configuration conf = {};
	struct rseq_cs section;
	uint64_t at = 0;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, v->tid, sizeof(conf), &conf) != sizeof(conf) || !conf.rseq_abi_pointer)
		return false;
	if (pread(v->memory, &at, sizeof(at), (off_t)(conf.rseq_abi_pointer + offsetof(struct rseq, rseq_cs))) != sizeof(at))
		return true;
	if (!at)
		return false;
	return pread(v->memory, &section, sizeof(section), (off_t)at) != sizeof(section) ||
	       r->rip - section.start_ip < section.post_commit_offset;
}

static bool is_64_bit(const struct user_regs_struct *r)
{
	return r->cs == 0x33;
}

static bool is_in_code(const struct victim *v, const struct user_regs_struct *r)
{
	return r->rip - v->code < code_size();
}

/* Of a thread that is in the code: calls that it has not made. One that begins has the result ENOSYS so far. */
static size_t calls_left(const struct victim *v, const struct user_regs_struct *r)
{
	size_t at = r->rip - v->code;

	if (at >= offset_of(inject_code_back))
		return 0;
	return r->rbx + (at >= offset_of(inject_code_taken) &&
			 (at < offset_of(inject_code_made) || (int64_t)r->rax == -RESTARTSYS || (int64_t)r->rax == -ENOSYS));
}

/* ---- a step ---- */

/* Whole words. By ptrace(), which needs no right to write to /proc/PID/mem, and writes what the process may only execute. */
static int poke(const struct victim *v, uint64_t to, const void *from, size_t size)
{
	uint64_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)from + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, v->tid, to + i, word))
			return -errno;
	}
	return 0;
}

/* Leaves no trace; the thread is at its own work. */
static int let_go(struct victim *v, int signal)
{
	int err = poke(v, v->code, v->former, whole_size(v->ranges_max));

	v->let_go_ns = now_ns(); /* afterwards it may have our processor */
	return err ?: ptrace(PTRACE_DETACH, v->tid, 0, signal) ? -errno : 0;
}

/* One whose filter is suspended stops at its next system call: its own ones the filter is to see. */
static int go_on(const struct victim *v)
{
	return ptrace(v->filter ? PTRACE_SYSCALL : PTRACE_CONT, v->tid, 0, 0) ? -errno : 0;
}

/* Sends the thread to the code; *@own becomes what it has to come back to. */
static int send_there(const struct victim *v, struct user_regs_struct *own, int advice, size_t n)
{
	struct user_regs_struct go;
	struct frame frame;
	int err;

	begin_call_anew(own);
	frame = (struct frame){ own->r15, own->r14, own->r13, own->r12, own->rbp, own->rbx, own->r11, own->r10,
				own->r9,  own->r8,  own->rax, own->rcx, own->rdx, own->rsi, own->rdi, own->rip };
	err = poke(v, v->code + code_size(), &frame, sizeof(frame));
	if (err)
		return err;
	go = *own;
	go.rip = v->code;
	go.rbx = n;
	go.r12 = v->code + whole_size(0);
	go.r13 = (uint64_t)advice;
	go.orig_rax = ~0ULL;
	return ptrace(PTRACE_SETREGS, v->tid, 0, &go) ? -errno : go_on(v);
}

/* A handler must not run on top of the code, which the next step writes anew: the thread goes back to its own work first. */
static int take_back(struct victim *v, const struct user_regs_struct *own, int signal)
{
	return ptrace(PTRACE_SETREGS, v->tid, 0, own) ? -errno : let_go(v, signal);
}

/* The thread is at its own work again, and maybe in a system call that our looking at it has interrupted. */
static int leave(struct victim *v, struct stop *at)
{
	if (!at->at_call && !at->signal && !has_signals(v)) {
		begin_call_anew(&at->regs);
		ptrace(PTRACE_SETREGS, v->tid, 0, &at->regs);
	}
	return let_go(v, at->signal);
}

/* Other threads may have made the code writable, and their own, to have calls made that a filter is not to see. */
static bool is_our_call(const struct user_regs_struct *r, int advice)
{
	return r->orig_rax == SYS_madvise && r->rdx == (uint64_t)advice;
}

/* Until the thread is back at its own work, or has made a call and has no more time; lets go of it. Then those of @n are left.
 */
static ssize_t await_return(struct victim *v, const struct user_regs_struct *own, uint64_t began, int advice, size_t n)
{
	struct stop at;
	size_t left;
	int err = 0;

	while (!err) {
		err = await_stop(v, LOOK_NS, &at);
		if (err == -EAGAIN)
			err = stop(v, CALLS_TIMEOUT_NS, &at);
		if (err)
			break;
		if (!is_in_code(v, &at.regs))
			return leave(v, &at);
		if (at.at_call && !is_our_call(&at.regs, advice))
			return take_back(v, own, 0) ?: -EACCES;
		left = calls_left(v, &at.regs);
		if (at.signal || (now_ns() - began > STEP_NS && left < n))
			return take_back(v, own, at.signal) ?: (ssize_t)left;
		err = go_on(v);
	}
	return err;
}

static bool has_filter(pid_t tid)
{
	char path[64], line[128];
	_fclose_ FILE *f = NULL;
	unsigned int mode = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %u", &mode) == 1)
			break;
	return mode;
}

/* Is it at a place that it can be sent away from? Its filter is suspended from now on, until it is let go. */
static int prepare(const struct victim *v, const struct stop *at)
{
	if (at->signal || has_signals(v) || is_in_sequence(v, &at->regs) || is_in_code(v, &at->regs))
		return -EAGAIN;
	if (!is_64_bit(&at->regs))
		return -ENOEXEC;
	if (v->filter && ptrace(PTRACE_SETOPTIONS, v->tid, 0, PTRACE_O_SUSPEND_SECCOMP | PTRACE_O_TRACESYSGOOD))
		return -EACCES;
	return 0;
}

/*
 * Stops the thread at a place that it can be sent away from; *@own is what it was about. -EAGAIN: it is at no such place now;
 * it was let go, as after any error but -EBUSY and -ESRCH.
 */
static int hold(struct victim *v, struct user_regs_struct *own)
{
	struct stop at;
	int err = ptrace(PTRACE_SEIZE, v->tid, 0, 0) ? -errno : stop(v, STOP_TIMEOUT_NS, &at);

	if (err)
		return err;
	v->filter = has_filter(v->tid);
	*own = at.regs;
	err = prepare(v, &at);
	if (err)
		ptrace(PTRACE_DETACH, v->tid, 0, at.signal);
	return err;
}

/* Returns how many of the ranges were advised, or -errno as above. */
static ssize_t step(struct victim *v, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	uint64_t began = now_ns(), took;
	struct user_regs_struct own;
	ssize_t left = hold(v, &own);

	if (!left)
		left = poke(v, v->code, inject_code, code_size()) ?:
		       poke(v, v->code + whole_size(0), ranges, n * sizeof(*ranges)) ?:
		       send_there(v, &own, advice, n) ?:
		       await_return(v, &own, began, advice, n);
	if (left < 0)
		return left;
	took = v->let_go_ns - began;
	ret->calls += n - (size_t)left;
	ret->steps++;
	ret->total_ns += took;
	if (took > ret->longest_ns)
		ret->longest_ns = took;
	nanosleep(&(struct timespec){ .tv_nsec = (long)(took * PAUSE % 1000000000) }, NULL);
	return (ssize_t)n - left;
}

/* ---- all of it ---- */

/* A thread that cannot be stopped now may be later; one step after another, of as many ranges as are made in time. */
static int advise(struct victim *v, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	size_t most = 8 < v->ranges_max ? 8 : v->ranges_max;
	unsigned int tries = 0;

	while (n) {
		size_t want = n < most ? n : most;
		ssize_t got = step(v, advice, ranges, want, ret);

		if (got == -EAGAIN && ++tries < TRIES)
			nanosleep(&(struct timespec){ .tv_nsec = 300000 + 37000 * tries }, NULL); /* a timer may beat with us */
		else if (got < 0)
			return got == -EAGAIN ? -EBUSY : (int)got;
		if (got < 0)
			continue;
		tries = 0;
		if ((size_t)got < want)
			most = got ? (size_t)got : 1;
		else if (most * 2 <= v->ranges_max)
			most *= 2;
		ranges += got;
		n -= (size_t)got;
	}
	return 0;
}

static int open_victim(pid_t pid, struct victim *ret)
{
	char path[64];
	size_t size;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	*ret = (struct victim){ .tid = pid, .memory = open(path, O_RDONLY | O_CLOEXEC) };
	if (ret->memory < 0)
		return errno == ENOENT ? -ESRCH : -EPERM;
	err = find_space(ret);
	size = err ? 0 : whole_size(ret->ranges_max);
	if (size > sizeof(ret->former) || pread(ret->memory, ret->former, size, (off_t)ret->code) != (ssize_t)size)
		err = -ENOEXEC;
	if (err)
		close(ret->memory);
	return err;
}

/* In the child */
static int inject(pid_t pid, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	struct victim v;
	sigset_t stops;
	int err = open_victim(pid, &v);

	if (err)
		return err;
	setpriority(PRIO_PROCESS, 0,
		    -20); /* a thread waits for us; without CAP_SYS_NICE it waits longer where others do, too */
	sigemptyset(&stops);
	sigaddset(&stops, SIGCHLD);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	err = advise(&v, advice, ranges, n, ret);
	close(v.memory);
	return err;
}

struct shared {
	struct injection done;
	int err;
};

/* By a child: a thread that does not stop is let go when that ends. */
int inject_madvise(pid_t pid, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int err;

	if (s == MAP_FAILED)
		return -EAGAIN;
	s->err = -EAGAIN;
	child = child_fork(SIGKILL);
	if (!child) {
		s->err = inject(pid, advice, ranges, n, &s->done);
		_exit(0);
	}
	if (child > 0)
		child_wait(child, -1, NULL);
	*ret = s->done;
	err = s->err;
	munmap(s, sizeof(*s));
	return err;
}
