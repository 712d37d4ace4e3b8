/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A function of the library: OpenCL C in NAME.cl, and in NAME.yaml what it takes, what it gives, and how it is run. It is
 * described in nestor-gpufn(7); the keys are in function.c.
 *
 * Pure: reads files, and touches no device.
 */
#ifndef NESTOR_FN_FUNCTION_H
#define NESTOR_FN_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/gpu.h"

#define FN_ARGS_MAX 16
#define FN_KERNELS_MAX 8
#define FN_SIZES_MAX 16
#define FN_NAME_MAX 32 /* bytes of a name: letters, digits and _, the first one a letter */
#define FN_BYTES_MAX (1ULL << 40) /* of a call, all together */

enum fn_kind {
	FN_INPUT, /* comes with the call */
	FN_OUTPUT, /* goes back */
	FN_SCRATCH, /* stays on the device */
	FN_SCALAR, /* a number of the call */
};

enum fn_type { FN_UINT8, FN_INT32, FN_UINT32, FN_UINT64, FN_FLOAT32, FN_FLOAT64 };

struct fn_argument {
	char *name;
	enum fn_kind kind;
	enum fn_type type;
	char *count; /* elements, a formula of whole scalars; not of a scalar */
	char *per_unit; /* of an output: elements that a unit of groups writes, all in a row, and no other does; NULL: unknown
			 */
	double min, max; /* of a scalar: what a call may have; of an input: what checks have */
};

struct fn_kernel {
	char *name;
	uint32_t group; /* work-items of a group */
	char *groups; /* how many, a formula */
};

struct function {
	char name[FN_NAME_MAX];
	char *doc;
	struct fn_argument *arguments;
	unsigned int arguments_count;
	struct fn_kernel *kernels; /* one after the other; each finds what the one before it wrote */
	unsigned int kernels_count;
	bool sliceable; /* groups of a kernel need nothing of each other */
	char *unit; /* groups, a formula: several devices take multiples of it; NULL: 1 */
	char *cost; /* of a group, a formula: how calls of different scalars compare; NULL: 1 */
	char *reference; /* kernel of NAME.check.cl, one work-item, same arguments; what it writes is right */
	double tolerance; /* what outputs may differ from it: this, or this times the value */
	char **checks; /* "width=64 height=48" each: calls for `gpufn check` */
	unsigned int checks_count;
	char **sizes; /* calls from small to large, for `gpufn profile` */
	unsigned int sizes_count;
	char *source; /* NAME.cl, dialect.clh before it */
	char *check_source; /* NAME.check.cl; NULL: there is none */
	uint64_t hash; /* of the description and the source: what was learnt of another one says nothing of this */
};

/* One call: what follows from its scalars. */
struct fn_call {
	const struct function *f;
	double scalars[FN_ARGS_MAX]; /* those that are scalars */
	uint64_t elements[FN_ARGS_MAX], bytes[FN_ARGS_MAX]; /* the others */
	uint32_t groups[FN_KERNELS_MAX];
	uint64_t unit, cost;
	uint64_t per_unit[FN_ARGS_MAX]; /* elements; 0: not known */
	uint64_t input_bytes, output_bytes, device_bytes;
	uint64_t all_groups;
	bool partable; /* several devices may do it together */
};

struct fn_value {
	const char *name, *text;
};

extern const unsigned int fn_type_size[];

/*
 * Reads @name.yaml and what belongs to it from directory @dir. 0, or -errno with the reason in @why: "blur.yaml:3: …".
 */
int function_load(int dir, const char *name, struct function **ret, char why[256]);
void function_free(struct function *f);

/* 0, or -EINVAL with what is wrong in @why. All scalars have to be there, once. */
int fn_call_make(const struct function *f, const struct fn_value *values, size_t n, struct fn_call *ret, char why[192]);
/* The same from "width=64 height=48". */
int fn_call_parse(const struct function *f, const char *text, struct fn_call *ret, char why[192]);

/* A range of elements of argument @arg: what groups @first to @first + @groups - 1 write of it. */
void fn_part(const struct fn_call *c, unsigned int arg, uint64_t first, uint64_t groups, uint64_t *ret_from, uint64_t *ret_n);

#endif
