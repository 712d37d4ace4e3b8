/* SPDX-License-Identifier: GPL-2.0 */
/* How long a function takes on a device: measured, and a line through that. Runs others' code, as gpu/fn/job.h does. */
#ifndef NESTOR_FN_PROFILE_H
#define NESTOR_FN_PROFILE_H

#include "gpu/fn/job.h"

/*
 * Seconds of @groups groups of a call: launch + groups * cost * group, once for each of the function's kernels. @launch and
 * @group are drawn by least squares of relative errors from every other size that the description names, the first and the last
 * among them, each whole, in halves and in quarters; the other sizes show how far the line is off.
 */
struct fn_profile {
	double launch, group; /* s */
	double transfer; /* bytes a second: memory cleared, inputs written, outputs read */
	double error; /* the worst, of sizes that were held out: 0.05 is 5 % */
	unsigned int drawn, held; /* measurements from which it is drawn; which were held out */
	char failed[FN_WHY_MAX]; /* why there is none; "": there is */
};

void fn_profile_measure(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_profile *ret);

/* ---- for tests ---- */

struct fn_point {
	double work, seconds; /* groups * cost */
};
/* @ret_launch is not below 0, and @ret_group above it. */
void fn_draw_line(const struct fn_point *points, unsigned int n, double *ret_launch, double *ret_group);

#endif
