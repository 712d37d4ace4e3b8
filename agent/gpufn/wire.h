/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the broker of GPU functions and its executors, one packet each. An executor does orders one after the other and
 * reports each. Both are of one program: fields are as the machine has them.
 */
#ifndef NESTOR_GPUFN_WIRE_H
#define NESTOR_GPUFN_WIRE_H

#include <stddef.h>

#include <linux/types.h>

#define GPUFN_STATE_MAX ((size_t)8 << 20) /* bytes of what the broker tells the agent; more is not parsed */
#define GPUFN_ORDERS_FD 3 /* of an executor */
#define GPUFN_VALUES_MAX 512
#define GPUFN_TEXT_MAX 480

enum gpufn_op {
	GPUFN_READY, /* reported once: the device is open. ns: what a launch costs at least */
	GPUFN_COMPILE, /* reads a function and compiles it, if that is not done yet. -ESTALE: it has another hash. ns: how long
			  it took */
	GPUFN_OPEN, /* with a memfd: inputs, then outputs from the next page on. Takes memory, copies the inputs. ns: how long
		       the latter took */
	GPUFN_RUN, /* a slice. ns: how long the device took */
	GPUFN_READ, /* copies what the groups wrote into the memfd; all of it if there are none */
	GPUFN_CLOSE, /* forgets the call */
};

struct gpufn_order {
	__u32 op, call; /* @call is the broker's number */
	__u32 kernel, pad;
	__u64 first, groups;
	__u64 hash; /* of a COMPILE and an OPEN, these: of the function's description and code, which the broker goes by */
	char function[40];
	char values[GPUFN_VALUES_MAX]; /* "width=64 height=48" */
};

struct gpufn_report {
	__u32 op, call;
	__s32 err; /* 0 or -errno */
	__u32 pad;
	__u64 ns;
	char text[GPUFN_TEXT_MAX]; /* of an error */
};

_Static_assert(sizeof(struct gpufn_order) == 592, "");
_Static_assert(sizeof(struct gpufn_report) == 504, "");

/* Where outputs begin in a call's memfd. */
static inline __u64 gpufn_outputs_at(__u64 input_bytes)
{
	return (input_bytes + 4095) & ~4095ULL;
}

#endif
