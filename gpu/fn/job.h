/* SPDX-License-Identifier: GPL-2.0 */
/* A call of a function on a device: its memory there, its slices. Runs others' code: only where nothing is lost with it. */
#ifndef NESTOR_FN_JOB_H
#define NESTOR_FN_JOB_H

#include "gpu/fn/function.h"

#define FN_WHY_MAX 440

struct fn_program {
	struct gpu_kernel kernels[FN_KERNELS_MAX];
	struct gpu_program program;
};

struct fn_job {
	struct gpu *gpu;
	const struct fn_call *call;
	const struct fn_program *program;
	struct gpu_mem memory[FN_ARGS_MAX]; /* none of scalars */
	union {
		uint64_t whole;
		uint32_t half;
		float single;
		double real;
	} scalars[FN_ARGS_MAX];
};

/*
 * Compiles @f, or what it is compared with, for @g, which is open. @p keeps its place while it is. 0, or -errno with what is
 * wrong in @why. Takes seconds.
 */
int fn_program_open(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_program *p,
		    char why[FN_WHY_MAX]);
int fn_program_open_reference(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_program *p,
			      char why[FN_WHY_MAX]);
void fn_program_close(struct gpu *g, struct fn_program *p);

/* Takes memory of the device. @call and @program stay where they are until the end. */
/* Calls return as those of gpu.h. */
int fn_job_open(struct gpu *g, const struct fn_call *call, const struct fn_program *program, struct fn_job *ret);
void fn_job_close(struct fn_job *j);

/*
 * A group of each kernel with the numbers of the function's first check and inputs of zeroes: some drivers compile a kernel
 * when it runs first. As those of gpu.h.
 */
int fn_program_try(struct gpu *g, const struct function *f, const struct fn_program *p);

/* Inputs, and outputs, are one after the other in the order of the arguments, without gaps. Both return when all is there. */
int fn_job_write(struct fn_job *j, const void *inputs);
int fn_job_read(struct fn_job *j, void *outputs);
/* What @groups groups from @first on have written, of a call that is partable, into its place among @outputs. */
int fn_job_read_part(struct fn_job *j, uint64_t first, uint64_t groups, void *outputs);

/* A slice of kernel @kernel. */
int fn_job_launch(struct fn_job *j, unsigned int kernel, uint32_t first, uint32_t groups, struct gpu_event *done);

#endif
