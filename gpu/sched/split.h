/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which part of an invocation each of several unlike devices takes, so that it is done soonest. Pure code; times are seconds.
 */
#ifndef NESTOR_SCHED_SPLIT_H
#define NESTOR_SCHED_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#define SPLIT_DEVICES_MAX 32

struct split_device {
	double ready; /* when it has done what it has */
	double fixed; /* what a part costs it besides the work: launch, transfers */
	double speed; /* work a second */
	double least; /* the smallest part that is worth a launch */
};

/*
 * Work of @work from @now on, for up to SPLIT_DEVICES_MAX devices; @parts gets what each takes, of which the sum is @work.
 * Returns when all is done.
 *
 * Whole, it goes to the device that is done first. In parts, to the k that can begin first, for each k, filled as communicating
 * vessels are: so that all end together. More parts cost more: a device's fixed cost is time that who comes later waits for,
 * the longer the more is going on. @load is what comes of what can be done, 0 to 1, and each second that parts cost has to be
 * worth load / (1 - load) seconds to this one. Nothing is parted from a load of 1 on, nor while more work is waiting than this
 * is: then all devices are busy anyway, and who comes behind waits for the largest one on all of them.
 */
double split_work(const struct split_device *devices, size_t n, double now, double work, bool sliceable, double load,
		  double *parts);

#endif
