/* SPDX-License-Identifier: GPL-2.0 */
/* What brokers of GPU functions find when they start: a directory, which each locks (one that is not locked is left over), and
 * variables. */
#ifndef NESTOR_GPUFN_WORKDIR_H
#define NESTOR_GPUFN_WORKDIR_H

#include <stddef.h>

/* Removes what brokers that died have left in @parent, makes a directory there, and locks it. 0 or -errno, logged. */
int gpufn_make_dir(const char *parent, char *ret, size_t size);
void gpufn_remove_dir(const char *path);

#define GPUFN_PASSED_MAX 5
/*
 * From the agent's environment what is for the broker and its executors, with a NULL at the end: PoCL's and CUDA's choice of
 * devices, the journal, and NESTOR_GPUFN_SPEEDS, "1 0.5 0.25", by which devices are made slower for tests.
 */
void gpufn_pass_environment(char **ret);

#endif
