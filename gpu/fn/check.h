/* SPDX-License-Identifier: GPL-2.0 */
/* Does a function do on a device what it says it does? Runs others' code, as gpu/fn/job.h does. */
#ifndef NESTOR_FN_CHECK_H
#define NESTOR_FN_CHECK_H

#include "gpu/fn/job.h"

struct fn_checked {
	double worst; /* of the differences to the reference, as its tolerance counts them */
	unsigned int calls; /* that were made, each against the reference if there is one */
	unsigned int cuts; /* of these into slices, and into parts, whose outputs were the same to the last bit */
	char failed[FN_WHY_MAX]; /* what is wrong; "": nothing */
};

/*
 * Compiles @f, makes each of its checks with inputs at random, and compares: with the reference; in slices of several sizes
 * with the whole; in parts, each with a memory of its own, with the whole. *@ret says how it went.
 */
void fn_check(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_checked *ret);

#endif
