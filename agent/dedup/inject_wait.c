// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/dedup/inject_wait.h"
#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"

#define LOOK_NS 1000000
#define JUST_BEGUN_NS                                                                                                          \
	4000000 /* a call that is not older has just begun, or one that is younger than a quarter of its limit                 \
		 */

/* linux/errno.h, not for user space */
enum { RESTARTSYS = 512, RESTARTNOINTR = 513, RESTARTNOHAND = 514, RESTART_BLOCK = 516 };

/* Those that fail with EINTR, or begin with their whole limit, after a stop without a signal. Nothing has happened in them yet.
 */
static const struct forgetful {
	uint64_t call;
	int limit; /* which argument, from 0 on; -1: it has none */
	bool milliseconds; /* -1: none; else an address, NULL: none */
} all[] = {
	{ SYS_epoll_wait, 3, true },	{ SYS_epoll_pwait, 3, true },	 { SYS_epoll_pwait2, 3, false },
	{ SYS_io_getevents, 4, false }, { SYS_io_pgetevents, 4, false }, { SYS_rt_sigtimedwait, 2, false },
	{ SYS_semop, -1, false },	{ SYS_semtimedop, 3, false },
};

static const struct forgetful *find(uint64_t call)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].call == call)
			return &all[i];
	return NULL;
}

static bool has_limit(const struct forgetful *f, const uint64_t args[6])
{
	if (f->limit < 0)
		return false;
	return f->milliseconds ? (int)args[f->limit] >= 0 : args[f->limit] != 0;
}

bool inject_wait_restart(struct user_regs_struct *r, bool fresh)
{
	const uint64_t args[] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };
	int64_t result = (int64_t)r->rax;
	uint64_t call = r->orig_rax;
	const struct forgetful *f = find(call);
	bool limited = f && has_limit(f, args);

	if ((int64_t)call < 0)
		return false;
	r->orig_rax = ~0ULL; /* the kernel has nothing to do any more */
	if (f && (result == -EINTR || result == -RESTARTNOHAND))
		r->rax = limited && !fresh ? (uint64_t)-EINTR : call;
	else if (result == -RESTART_BLOCK)
		r->rax = SYS_restart_syscall;
	else if (result == -RESTARTSYS || result == -RESTARTNOINTR || result == -RESTARTNOHAND)
		r->rax = call;
	else
		return false;
	if (r->rax == (uint64_t)-EINTR)
		return false;
	r->rip -= 2; /* to the syscall instruction */
	return limited;
}

/* ---- the moment ---- */

struct look {
	uint64_t at; /* ns */
	bool asleep, limited; /* in a call; in one with a limit that the kernel forgets */
	uint64_t limit_ns; /* 0: not known */
	uint64_t switches; /* how often the thread fell asleep */
};

static uint64_t count_switches(int proc)
{
	__u64 ret;

	return proc_status_number(proc, "voluntary_ctxt_switches", &ret) ? 0 : ret;
}

/* The call first: one that begins between the two is taken for an older one, never the other way round. */
static struct look look(int proc)
{
	struct look ret = { .at = now_ns() };
	uint64_t call, args[6];
	const struct forgetful *f;
	char text[256];

	if (util_read_file_at(proc, "syscall", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%lu %lx %lx %lx %lx %lx %lx", &call, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5]) != 7)
		return ret;
	ret.asleep = true;
	ret.switches = count_switches(proc);
	f = find(call);
	ret.limited = f && has_limit(f, args);
	if (ret.limited && f->milliseconds)
		ret.limit_ns = args[f->limit] * 1000000;
	return ret;
}

static bool has_just_begun(const struct look *was, const struct look *now)
{
	uint64_t most = now->limit_ns / 4 > JUST_BEGUN_NS ? now->limit_ns / 4 : JUST_BEGUN_NS;

	return was->asleep && now->asleep && was->switches != now->switches && now->at - was->at <= most;
}

bool inject_wait_moment(int proc, bool restarted)
{
	uint64_t began = now_ns();
	struct look was = {}, now;

	do {
		now = look(proc);
		if (now.asleep ? !now.limited || has_just_begun(&was, &now) : !restarted)
			return true;
		if (now.asleep)
			was = now;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
	} while (now_ns() - began < INJECT_MOMENT_NS);
	return false;
}
