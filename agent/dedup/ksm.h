/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's merging of pages (Documentation/admin-guide/mm/ksm.rst), run for a while only: the administrator's settings are
 * remembered in a file of the run directory before they are changed, and put back, also by a later agent.
 *
 * ksmd is led step by step: it looks at a batch of pages and sleeps until it is woken. So whoever leads it may be killed at any
 * moment. It goes through the list of those who told it of memory, in passes; who comes into the list while it is in a pass is
 * put behind it (__ksm_enter() in mm/ksm.c), and is come by in the next one only. So if nobody else is in the list just after a
 * pass has begun, nobody else is merged in it.
 */
#ifndef NESTOR_DEDUP_KSM_H
#define NESTOR_DEDUP_KSM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KSM_FILE "ksm.json" /* in the run directory, while there is something to be put back */
#define KSM_ONE_PAGE "1" /* pages of a batch: the first one, by which a pass begins, */
#define KSM_BATCH "2000" /* and the others; some milliseconds */

struct ksm {
	int run_dir, folder;
	uint64_t sleeps; /* of ksmd, when it was woken */
	bool odd;
};

struct ksm_counts {
	uint64_t full_scans;
	uint64_t cpu_ns; /* of ksmd */
};

/*
 * What an earlier agent has left is put back first. 0, or, logged:
 *	-EOPNOTSUPP the kernel has no KSM,
 *	-EBUSY	the administrator has it run, or undo all merging,
 *	-errno	what an earlier agent has left cannot be put back.
 */
int ksm_open(struct ksm *ret, int run_dir);
void ksm_close(struct ksm *k); /* the settings stay: ksm_undo() */

/*
 * ksmd is set going, and asleep before it has looked at more than a page. @anew: all that is merged in the machine is taken
 * apart before, and what ksmd knows of pages forgotten, so that it merges nothing in its first pass; full_scans is 0 until the
 * end of that. 0, or, logged, with some settings changed: -EBUSY, as above; -errno.
 */
int ksm_begin(const struct ksm *k, bool anew);
/* It looks at @pages, or at what is left of the pass if that is less. 0 or -errno, logged. */
int ksm_wake(struct ksm *k, const char *pages);
/* Is it through with what it was woken for? */
bool ksm_is_idle(const struct ksm *k);

/* All that is merged in the machine, whoever merged it. Takes memory for that. 0 or -errno, logged. */
int ksm_take_apart(const struct ksm *k);

/*
 * Puts back what is remembered, but for what somebody else has changed meanwhile. Waits until ksmd is through with its batch:
 * as long as a process of which it looks at a page likes. 0, also if there is nothing, or -errno, logged: then it is remembered
 * still.
 */
int ksm_undo(int run_dir);
/* 0 or -EOPNOTSUPP. */
int ksm_count(struct ksm_counts *ret);

/* How many pages of the process of thread @pid are merged with others; 0 before Linux 6.1. */
uint64_t ksm_merged(pid_t pid);

#endif
