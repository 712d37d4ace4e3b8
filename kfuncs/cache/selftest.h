/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test of the cache within the kernel, before anybody can use it: what tests/cache/rules_model.c cannot show in a process,
 * that many CPUs may do all at once. Built where the kernel has fault injection, or with NESTOR_SELFTEST=y.
 */
#ifndef NESTOR_KFUNCS_CACHE_SELFTEST_H
#define NESTOR_KFUNCS_CACHE_SELFTEST_H

#ifdef NESTOR_SELFTEST
/* For as long as the parameter selftest says; 0 or -errno. While there is no session and no device. Sleeps. */
int cache_selftest_run(void);
#else
static inline int cache_selftest_run(void)
{
	return 0;
}
#endif

#endif
