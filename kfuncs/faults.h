/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lets one allocation of the module's own fail, for tests: from outside (/proc/PID/fail-nth) only one of a whole system
 * call could be chosen, and of loading, or of setting up a mapped device, most are the kernel's. The parameter fail_nth
 * says which; it reads 0 if that one came.
 */
#ifndef NESTOR_FAULTS_H
#define NESTOR_FAULTS_H

#ifdef CONFIG_FAULT_INJECTION
#include <linux/sched.h>

extern unsigned int nestor_fail_nth;

/* Until end_faults() in the same task; a task that has a fault of its own keeps it. May sleep or not, takes no lock. */
static inline bool begin_faults(void)
{
	if (!nestor_fail_nth || current->fail_nth)
		return false;
	current->fail_nth = nestor_fail_nth;
	return true;
}

static inline void end_faults(bool begun)
{
	if (!begun)
		return;
	nestor_fail_nth = current->fail_nth;
	current->fail_nth = 0;
}
#else
static inline bool begin_faults(void)
{
	return false;
}

static inline void end_faults(bool begun)
{
}
#endif

#endif
