/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's merging of pages (Documentation/admin-guide/mm/ksm.rst), run for a while only: the administrator's settings are
 * remembered in a file of the run directory before they are changed, and put back, also by a later agent.
 */
#ifndef NESTOR_DEDUP_KSM_H
#define NESTOR_DEDUP_KSM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KSM_FILE "ksm.json"

struct ksm_counts {
	uint64_t full_scans;
	uint64_t cpu_ns; /* of ksmd */
};

/*
 * Has ksmd run, at most @percent of a processor. What an earlier agent has left is put back first. 0, or, logged:
 *	-EOPNOTSUPP the kernel has no KSM,
 *	-EBUSY	the administrator has it undo all merging (run is 2),
 *	-errno	the settings cannot be remembered or written.
 */
int ksm_begin(int run_dir, unsigned int percent);

/* Puts back what is remembered, but for what somebody else has changed meanwhile. 0, also if there is nothing, or -errno,
 * logged. */
int ksm_undo(int run_dir);

/* 0 or -EOPNOTSUPP. */
int ksm_count(struct ksm_counts *ret);

/* How many pages of @pid are merged with others; 0 before Linux 6.1. */
uint64_t ksm_merged(pid_t pid);

/* Has @pid memory that KSM may merge? Also of one that is gone: no. Takes long for a process with much memory where ksm_stat
 * does not tell. */
bool ksm_is_mergeable(pid_t pid);

#endif
