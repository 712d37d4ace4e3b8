/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an executor owes: a report for each order, in the order in which they were sent. A report is believed only if it is the
 * one that is owed next. Pure: no descriptor, no clock. Times are seconds of CLOCK_MONOTONIC.
 */
#ifndef NESTOR_GPUFN_OWED_H
#define NESTOR_GPUFN_OWED_H

#include <sys/types.h>

#include "agent/gpufn/wire.h"

/* Orders that an executor may have at a time; its socket holds fewer. */
#define GPUFN_OWED_MAX 512

struct owed {
	struct {
		__u32 op, call;
		double sent;
	} orders[GPUFN_OWED_MAX]; /* a ring */
	unsigned int first, nr;
};

/* The order that it is at; only if it owes a report. */
static inline __u32 owed_next(const struct owed *o)
{
	return o->orders[o->first].op;
}
/* 0, or -EAGAIN: it owes as many reports as it may. */
int owed_add(struct owed *o, __u32 op, __u32 call, double now);
/*
 * Checks what the executor sent, @len bytes in *@r. NULL: it is the report that was owed, which is owed no more; its time is at
 * most what passed since the order was sent, and its text is UTF-8 without control characters. Else what is wrong with it: the
 * executor must not be listened to any longer.
 */
const char *owed_check(struct owed *o, struct gpufn_report *r, ssize_t len, double now);

#endif
