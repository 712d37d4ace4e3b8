/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which process a number meant when it was first seen, which program that ran, as which user, and in which cgroup. A number
 * is used again after its process has ended, and a process may execute another program at any moment.
 */
#ifndef NESTOR_DEDUP_IDENTITY_H
#define NESTOR_DEDUP_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
	pid_t pid;
	pid_t tid; /* a thread that has not ended: the first one, as a rule */
	int proc; /* /proc/PID, or its task/TID: names this one alone, also after its number was used again */
	int pagemap; /* /proc/PID/pagemap: of the memory that it had then, not of a program executed later; or -errno */
	char *facts; /* what identity_check() compares; /proc/PID/cgroup is its end, from here on: */
	size_t cgroups;
};

/*
 * Needs CAP_SYS_PTRACE, and two descriptors until identity_close(). 0, -ESRCH: there is no such process, -ENOMEM, or -errno.
 * Never waits for the process: reads no file in /proc that needs its mmap_lock.
 */
int identity_open(pid_t pid, struct identity *ret);
void identity_close(struct identity *i);

/*
 * Does the process still live, with the same memory, program, user, capabilities and cgroup? 0, -ESRCH: it has ended, or
 * -ESTALE. What it says of memory and program stays true while the thread is stopped.
 */
int identity_check(const struct identity *i);
/* The memory alone: false once the process has ended or executed a program. */
bool identity_has_memory(const struct identity *i);
/* Was the process in the cgroup of that directory, or is that not to be told? */
bool identity_was_in(const struct identity *i, const char *cgroup_dir);

#endif
