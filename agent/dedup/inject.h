/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Has another process call madvise() on ranges of its own memory, since nobody else may: MADV_MERGEABLE has no form for the
 * memory of others. A thread of it makes the calls in steps of many, between which it does its own work.
 *
 * Whoever injects may be killed at any moment: the thread then makes the calls of its step and continues by itself. Only a
 * process whose seccomp filter kills for madvise() needs the step to be ended, so a step ends before a signal other than
 * SIGKILL ends the injector.
 */
#ifndef NESTOR_DEDUP_INJECT_H
#define NESTOR_DEDUP_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/dedup/identity.h"

#define INJECT_STOP_MAX_NS 2000000 /* for so long at most the thread is kept from its own work at a time */
#define INJECT_TIMEOUT_MS 60000 /* for all ranges of a process; thousands take seconds */

struct inject_range {
	uint64_t begin, length; /* bytes, whole pages */
};

struct injection {
	uint64_t calls; /* of madvise() */
	uint64_t steps; /* in which they were made */
	uint64_t longest_ns, total_ns; /* that the thread was kept, an upper bound */
};

/*
 * Needs CAP_SYS_PTRACE, and CAP_SYS_ADMIN for a process with a seccomp filter, which is suspended meanwhile. Takes
 * milliseconds per hundred ranges; sleeps. 0, or
 *	-ESRCH	it is gone,
 *	-ESTALE	it is another process than was seen first, executes another program, or changed its user or cgroup,
 *	-EPERM	it may not be looked at, or a debugger has it,
 *	-EBUSY	it could not be stopped: it is frozen, stopped, or in a system call that does not end,
 *	-ENOEXEC it is no 64-bit program of x86-64, or its vDSO was changed, or leaves no space,
 *	-EACCES	its seccomp filter cannot be suspended, or it meddles with the calls meanwhile,
 *	-EOPNOTSUPP it dispatches system calls to itself: prctl(PR_SET_SYSCALL_USER_DISPATCH),
 *	-ETIMEDOUT a call did not end within a second, or not all of them did within @timeout_ms,
 *	-EAGAIN	there is no memory or process for it here.
 * What was done until then is in @ret. Whether the kernel took a range, smaps tells.
 */
int inject_madvise(const struct identity *id, int advice, const struct inject_range *ranges, size_t n, int timeout_ms,
		   struct injection *ret);

#endif
