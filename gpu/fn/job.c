// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>

#include "agent/lib/util.h"
#include "gpu/fn/job.h"
#include "gpu/ptx.h"

/* ---- programs ---- */

/* From OpenCL C, or for CUDA what clang makes of it. */
static int build(struct gpu *g, const struct gpu_info *info, const char *source, struct fn_program *p, char why[FN_WHY_MAX])
{
	_free_ char *ptx = NULL;
	char log[300] = "";
	int err = gpu_wants_ptx(info) ? ptx_compile(source, &ptx, log, sizeof(log)) : 0;

	err = err ?: gpu_build(g, &p->program, source, ptx);
	if (!err)
		return 0;
	if (log[0] || p->program.log[0])
		snprintf(why, FN_WHY_MAX, "does not compile: %.400s", log[0] ? log : p->program.log);
	else
		snprintf(why, FN_WHY_MAX, "%s", gpu_error(g));
	return err;
}

int fn_program_open(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_program *p,
		    char why[FN_WHY_MAX])
{
	*p = (struct fn_program){ .program = { .kernels = p->kernels, .n = f->kernels_count } };
	for (unsigned int i = 0; i < f->kernels_count; i++)
		p->kernels[i] = (struct gpu_kernel){ .name = f->kernels[i].name, .group_size = f->kernels[i].group };
	return build(g, info, f->source, p, why);
}

int fn_program_open_reference(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_program *p,
			      char why[FN_WHY_MAX])
{
	*p = (struct fn_program){ .program = { .kernels = p->kernels, .n = 1 } };
	p->kernels[0] = (struct gpu_kernel){ .name = f->reference, .group_size = 1 };
	return build(g, info, f->check_source, p, why);
}

void fn_program_close(struct gpu *g, struct fn_program *p)
{
	gpu_unload(g, &p->program);
}

/* ---- a call ---- */

static void set_scalar(struct fn_job *j, unsigned int i)
{
	double v = j->call->scalars[i];

	switch (j->call->f->arguments[i].type) {
	case FN_FLOAT64:
		j->scalars[i].real = v;
		break;
	case FN_FLOAT32:
		j->scalars[i].single = (float)v;
		break;
	case FN_UINT64:
		j->scalars[i].whole = (uint64_t)v;
		break;
	default:
		j->scalars[i].half = (uint32_t)(int64_t)v;
	}
}

int fn_job_open(struct gpu *g, const struct fn_call *call, const struct fn_program *program, struct fn_job *ret)
{
	int err = 0;

	*ret = (struct fn_job){ .gpu = g, .call = call, .program = program };
	for (unsigned int i = 0; i < call->f->arguments_count && !err; i++) {
		if (call->f->arguments[i].kind == FN_SCALAR)
			set_scalar(ret, i);
		else
			err = gpu_alloc(g, call->bytes[i], &ret->memory[i]);
	}
	if (err)
		fn_job_close(ret);
	return err;
}

void fn_job_close(struct fn_job *j)
{
	for (unsigned int i = 0; i < FN_ARGS_MAX; i++)
		gpu_free(j->gpu, &j->memory[i]);
}

int fn_job_write(struct fn_job *j, const void *inputs)
{
	const struct fn_call *c = j->call;
	const uint8_t *from = inputs;
	int err = 0;

	for (unsigned int i = 0; i < c->f->arguments_count && !err; i++) {
		if (c->f->arguments[i].kind != FN_INPUT)
			continue;
		err = gpu_write(j->gpu, 0, &j->memory[i], 0, from, c->bytes[i], NULL);
		from += c->bytes[i];
	}
	return err ?: gpu_finish(j->gpu, 0);
}

/* All of an output, or if @groups is not 0 what those have written of it. */
static int read_outputs(struct fn_job *j, uint64_t first, uint64_t groups, uint8_t *to)
{
	const struct fn_call *c = j->call;
	int err = 0;

	for (unsigned int i = 0; i < c->f->arguments_count && !err; i++) {
		uint64_t size = fn_type_size[c->f->arguments[i].type], from = 0, n = c->elements[i];

		if (c->f->arguments[i].kind != FN_OUTPUT)
			continue;
		if (groups)
			fn_part(c, i, first, groups, &from, &n);
		if (n)
			err = gpu_read(j->gpu, 0, &j->memory[i], from * size, to + from * size, n * size, NULL);
		to += c->bytes[i];
	}
	return err ?: gpu_finish(j->gpu, 0);
}

int fn_job_read(struct fn_job *j, void *outputs)
{
	return read_outputs(j, 0, 0, outputs);
}

int fn_job_read_part(struct fn_job *j, uint64_t first, uint64_t groups, void *outputs)
{
	return read_outputs(j, first, groups, outputs);
}

int fn_job_launch(struct fn_job *j, unsigned int kernel, uint32_t first, uint32_t groups, struct gpu_event *done)
{
	const struct function *f = j->call->f;
	struct gpu_arg args[FN_ARGS_MAX];

	for (unsigned int i = 0; i < f->arguments_count; i++) {
		bool scalar = f->arguments[i].kind == FN_SCALAR;

		args[i].value = scalar ? (const void *)&j->scalars[i] : &j->memory[i].handle;
		args[i].size = scalar ? fn_type_size[f->arguments[i].type] : sizeof(j->memory[i].handle);
	}
	return gpu_launch(j->gpu, 0, &j->program->kernels[kernel], first, groups, args, f->arguments_count, done);
}

int fn_program_try(struct gpu *g, const struct function *f, const struct fn_program *p)
{
	struct fn_call call;
	struct fn_job job;
	char why[192];
	int err = fn_call_parse(f, f->checks[0], &call, why);

	err = err ?: fn_job_open(g, &call, p, &job);
	if (err)
		return err;
	for (unsigned int i = 0; i < f->kernels_count && !err; i++) {
		struct gpu_event done = { 0 };

		err = fn_job_launch(&job, i, 0, 1, &done) ?: gpu_wait(g, &done, NULL);
	}
	fn_job_close(&job);
	return err;
}
