// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/fn/check.h"
#include "gpu/fn/inputs.h"

struct check {
	struct gpu *gpu;
	struct fn_call call;
	struct fn_program program, reference;
	uint8_t *inputs, *outputs, *others; /* of one call; what it gave, and what is compared with it */
	struct fn_checked *result;
};

/* False, so that who finds something wrong says so and stops. */
static bool wrong(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct check *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->result->failed, sizeof(c->result->failed), fmt, args);
	va_end(args);
	return false;
}

static bool done(struct check *c, int err)
{
	return err ? wrong(c, "%s", gpu_error(c->gpu)) : true;
}

/* ---- what comes out ---- */

static double get(const uint8_t *from, enum fn_type type)
{
	union {
		uint64_t whole;
		uint32_t half;
		int32_t negative;
		float single;
		double real;
	} v = { 0 };

	memcpy(&v, from, fn_type_size[type]);
	return type == FN_UINT8	    ? *from
	       : type == FN_INT32   ? v.negative
	       : type == FN_UINT32  ? v.half
	       : type == FN_UINT64  ? (double)v.whole
	       : type == FN_FLOAT32 ? (double)v.single
				    : v.real;
}

/* Each kernel in slices of @slice groups; 0: whole. */
static int run(struct check *c, const struct fn_program *program, unsigned int kernels, uint32_t slice, uint8_t *outputs)
{
	struct fn_job job;
	int err = fn_job_open(c->gpu, &c->call, program, &job);

	if (err)
		return err;
	err = fn_job_write(&job, c->inputs);
	for (unsigned int k = 0; k < kernels; k++) {
		uint32_t all = program == &c->reference ? 1 : c->call.groups[k], step = slice ? slice : all;

		for (uint32_t first = 0; first < all && !err; first += step)
			err = fn_job_launch(&job, k, first, all - first < step ? all - first : step, NULL);
	}
	err = err ?: fn_job_read(&job, outputs);
	fn_job_close(&job);
	return err;
}

/* In two parts, that know nothing of each other. */
static int run_parts(struct check *c, uint8_t *outputs)
{
	uint64_t all = c->call.groups[0], units = (all + c->call.unit - 1) / c->call.unit, cut = units / 3 * c->call.unit;
	int err = 0;

	for (int part = 0; part < 2 && !err; part++) {
		uint64_t first = part ? cut : 0, groups = part ? all - cut : cut;
		struct fn_job job;

		if (!groups)
			continue;
		err = fn_job_open(c->gpu, &c->call, &c->program, &job);
		if (err)
			return err;
		err = fn_job_write(&job, c->inputs);
		err = err ?: fn_job_launch(&job, 0, (uint32_t)first, (uint32_t)groups, NULL);
		err = err ?: fn_job_read_part(&job, first, groups, outputs);
		fn_job_close(&job);
	}
	return err;
}

static bool near(struct check *c, const struct fn_argument *a, const uint8_t *got, const uint8_t *right, uint64_t element)
{
	double tolerance = c->call.f->tolerance, g = get(got, a->type), r = get(right, a->type), off;

	if (!memcmp(got, right, fn_type_size[a->type]))
		return true;
	off = fabs(g - r) / (tolerance < 1 ? fmax(1, fabs(r)) : 1);
	if (!(off <= tolerance) || !tolerance)
		return wrong(c, "%s[%llu] is %.9g, and %.9g by the reference", a->name, (unsigned long long)element, g, r);
	c->result->worst = fmax(c->result->worst, off);
	return true;
}

static bool compare_reference(struct check *c)
{
	const struct function *f = c->call.f;
	const uint8_t *got = c->outputs, *right = c->others;

	if (!done(c, run(c, &c->reference, 1, 0, c->others)))
		return false;
	for (unsigned int i = 0; i < f->arguments_count; i++) {
		const struct fn_argument *a = &f->arguments[i];
		unsigned int size = fn_type_size[a->type];

		for (uint64_t e = 0; a->kind == FN_OUTPUT && e < c->call.elements[i]; e++, got += size, right += size)
			if (!near(c, a, got, right, e))
				return false;
	}
	return true;
}

static bool compare_cut(struct check *c, const char *how, uint32_t size)
{
	c->result->cuts++;
	return memcmp(c->outputs, c->others, c->call.output_bytes)
		       ? wrong(c, "%s of %u groups it gives something else than as a whole", how, size)
		       : true;
}

static bool compare_slices(struct check *c)
{
	const uint32_t sizes[] = { 1, 3, 7, c->call.groups[0] / 2 + 1 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(c->others, 0, c->call.output_bytes);
		if (!done(c, run(c, &c->program, c->call.f->kernels_count, sizes[i], c->others)) ||
		    !compare_cut(c, "in slices", sizes[i]))
			return false;
	}
	if (!c->call.partable)
		return true;
	memset(c->others, 0, c->call.output_bytes);
	return done(c, run_parts(c, c->others)) && compare_cut(c, "in parts", c->call.groups[0]);
}

static bool check_call(struct check *c, const char *text)
{
	const struct function *f = c->call.f;
	char why[192];
	bool good;

	if (fn_call_parse(f, text, &c->call, why))
		return wrong(c, "%s: %s", text, why);
	c->inputs = malloc(c->call.input_bytes + 1);
	c->outputs = malloc(c->call.output_bytes + 1);
	c->others = malloc(c->call.output_bytes + 1);
	if (c->inputs && c->outputs && c->others) {
		fn_inputs(&c->call, c->inputs);
		good = done(c, run(c, &c->program, f->kernels_count, 0, c->outputs));
		good = good && (!f->reference || compare_reference(c)) && (!f->sliceable || compare_slices(c));
	} else {
		good = wrong(c, "out of memory");
	}
	free(c->inputs);
	free(c->outputs);
	free(c->others);
	c->result->calls += good;
	return good;
}

/* ---- all of it ---- */

void fn_check(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_checked *ret)
{
	struct check c = { .gpu = g, .call = { .f = f }, .result = ret };
	int err;

	*ret = (struct fn_checked){ 0 };
	err = fn_program_open(g, info, f, &c.program, ret->failed);
	if (!err && f->reference)
		err = fn_program_open_reference(g, info, f, &c.reference, ret->failed);
	for (unsigned int i = 0; i < f->checks_count && !err; i++)
		err = !check_call(&c, f->checks[i]);
	fn_program_close(g, &c.program);
	fn_program_close(g, &c.reference);
}
