/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The code that makes the calls, and where a process has space for it: behind what its vDSO holds, which the kernel maps into
 * every process, executable, and rounds up to whole pages. Writing there gives the process its own copy of the page.
 *
 * The code makes the calls and then restores every register by itself. It changes no flags and uses no stack. The thread thus
 * needs nobody from the moment that it is sent there.
 */
#ifndef NESTOR_DEDUP_INJECT_CODE_H
#define NESTOR_DEDUP_INJECT_CODE_H

#include <stdbool.h>
#include <sys/user.h>

#include "agent/dedup/inject.h"

struct inject_code {
	uint64_t at; /* address of the code */
	uint64_t vdso; /* address; what it holds ends before the code */
	size_t ranges_max; /* for which there is space */
};

/* Reads /proc/PID/maps of process directory @proc. 0 or -ENOEXEC: it has no vDSO as ours, or that leaves no space. */
int inject_code_find(int proc, struct inject_code *ret);

/*
 * For a stopped thread @tid. Is the vDSO in its memory, which is open as @memory, where it was found, and as the kernel made
 * it?
 */
bool inject_code_fits(const struct inject_code *c, int memory);

/* Writes the code and @n ranges. 0 or -errno. */
int inject_code_write(const struct inject_code *c, pid_t tid, const struct inject_range *ranges, size_t n);
/* Writes what the kernel had there, in place of the code and @n ranges. */
int inject_code_erase(const struct inject_code *c, pid_t tid, size_t n);

/*
 * Sends the thread to make @n calls of the ranges from @first on, and back to @own. It runs when the caller has it continue.
 * 0 or -errno.
 */
int inject_code_send(const struct inject_code *c, pid_t tid, const struct user_regs_struct *own, int advice, size_t first,
		     size_t n);

/* Is a thread with registers @r in the code? */
bool inject_code_has(const struct inject_code *c, const struct user_regs_struct *r);
/* Of one that is: how many of the calls that it was sent to make it has not made. */
size_t inject_code_left(const struct inject_code *c, const struct user_regs_struct *r);
/* It is stopped at the end of one of its calls, which was made. */
bool inject_code_has_made(const struct inject_code *c, const struct user_regs_struct *r);

#endif
