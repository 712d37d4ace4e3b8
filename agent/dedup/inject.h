/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Has another process call madvise() on ranges of its own memory, since nobody else may: MADV_MERGEABLE has no form for the
 * memory of others. Its first thread does it on its way; the process is never left in a state from which it needs us, so
 * whoever injects may be killed at any moment.
 */
#ifndef NESTOR_DEDUP_INJECT_H
#define NESTOR_DEDUP_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define INJECT_STOP_MAX_NS 2000000 /* for so long at most the thread is kept from its own work at a time */

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
 *	-EPERM	it may not be looked at, or a debugger has it,
 *	-EBUSY	it could not be stopped: it is frozen, stopped, or in a system call that does not end,
 *	-ENOEXEC it is no 64-bit program of x86-64, or its vDSO leaves no space,
 *	-EACCES	its seccomp filter cannot be suspended, or it meddles with the calls meanwhile,
 *	-EAGAIN	there is no memory or process for it here.
 * What was done until then is in @ret. Whether the kernel took a range, smaps tells.
 */
int inject_madvise(pid_t pid, int advice, const struct inject_range *ranges, size_t n, struct injection *ret);

#endif
