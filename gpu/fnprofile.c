// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/util.h"
#include "gpu/fninputs.h"
#include "gpu/fnprofile.h"

#define TIMES 7 /* each is measured so often: what disturbs makes it longer, so the shortest one counts */
#define CUTS 3 /* whole, halves, quarters */
#define POINTS_MAX (16 * CUTS)

struct profiling {
	struct gpu *gpu;
	struct fn_call call;
	struct fn_program program;
	uint8_t *data; /* inputs, or outputs */
	struct fn_point drawn[POINTS_MAX], held[POINTS_MAX];
	struct fn_profile *result;
};

void fn_draw_line(const struct fn_point *points, unsigned int n, double *ret_launch, double *ret_group)
{
	double one = 0, x = 0, y = 0, xx = 0, xy = 0, below;

	for (unsigned int i = 0; i < n; i++) {
		double weight = 1 / (points[i].seconds * points[i].seconds);

		one += weight;
		x += weight * points[i].work;
		y += weight * points[i].seconds;
		xx += weight * points[i].work * points[i].work;
		xy += weight * points[i].work * points[i].seconds;
	}
	below = one * xx - x * x;
	*ret_launch = below > 1e-9 * one * xx ? (y * xx - x * xy) / below : 0;
	if (*ret_launch < 0 || *ret_launch * x >= xy)
		*ret_launch = 0;
	*ret_group = (xy - *ret_launch * x) / xx;
}

/* Of each kernel the first groups, one of @cut parts of all of them. */
static int time_launches(struct fn_job *j, unsigned int cut, struct fn_point *ret)
{
	const struct fn_call *c = j->call;
	uint64_t groups = 0, all = 0;
	int err = 0;

	for (unsigned int k = 0; k < c->f->kernels_count && !err; k++) {
		uint32_t some = (c->groups[k] + cut - 1) / cut;
		struct gpu_event done = { 0 };
		uint64_t ns = 0;

		err = fn_job_launch(j, k, 0, some, &done);
		err = err ?: gpu_wait(j->gpu, &done, &ns);
		groups += some;
		all += ns;
	}
	/* By kernel: so that a line's launch is one launch */
	ret->work = (double)groups * (double)c->cost / c->f->kernels_count;
	ret->seconds = (double)all / 1e9 / c->f->kernels_count;
	return err;
}

static int measure_cut(struct fn_job *j, unsigned int cut, struct fn_point *ret)
{
	struct fn_point one;
	int err = 0;

	*ret = (struct fn_point){ .seconds = INFINITY };
	for (unsigned int i = 0; i < TIMES && !err; i++) {
		err = time_launches(j, cut, &one);
		if (one.seconds < ret->seconds)
			*ret = one;
	}
	return err;
}

static void note_transfer(struct profiling *p, uint64_t ns)
{
	const struct fn_call *c = &p->call;
	double rate = (double)(c->device_bytes + c->input_bytes + c->output_bytes) * 1e9 / (double)(ns ?: 1);

	p->result->transfer = fmax(p->result->transfer, rate);
}

static int measure(struct profiling *p, struct fn_point *points, unsigned int cuts)
{
	uint64_t began = now_ns(), moved;
	struct fn_job job;
	int err = fn_job_open(p->gpu, &p->call, &p->program, &job);

	if (err)
		return err;
	err = fn_job_write(&job, p->data);
	moved = now_ns() - began;
	for (unsigned int i = 0; i < cuts && !err; i++)
		err = measure_cut(&job, 1U << i, &points[i]);
	began = now_ns();
	err = err ?: fn_job_read(&job, p->data);
	moved += now_ns() - began;
	fn_job_close(&job);
	note_transfer(p, moved);
	return err;
}

static bool measure_size(struct profiling *p, unsigned int i)
{
	const struct function *f = p->call.f;
	bool held = i % 2 && i + 1 < f->sizes_count;
	unsigned int cuts = f->sliceable ? CUTS : 1, *n = held ? &p->result->held : &p->result->drawn;
	char why[192] = "out of memory";
	int err = fn_call_parse(f, f->sizes[i], &p->call, why);
	uint64_t size = p->call.input_bytes > p->call.output_bytes ? p->call.input_bytes : p->call.output_bytes;

	p->data = err ? NULL : malloc(size + 1);
	if (!p->data) {
		snprintf(p->result->failed, sizeof(p->result->failed), "%s: %s", f->sizes[i], why);
		return false;
	}
	fn_inputs(&p->call, p->data);
	err = measure(p, (held ? p->held : p->drawn) + *n, cuts);
	*n += cuts;
	free(p->data);
	if (err)
		snprintf(p->result->failed, sizeof(p->result->failed), "%s: %s", f->sizes[i], gpu_error(p->gpu));
	return !err;
}

static void draw(struct profiling *p)
{
	struct fn_profile *r = p->result;

	fn_draw_line(p->drawn, r->drawn, &r->launch, &r->group);
	for (unsigned int i = 0; i < r->held; i++) {
		double told = r->launch + p->held[i].work * r->group;

		r->error = fmax(r->error, fabs(told / p->held[i].seconds - 1));
	}
}

void fn_profile_measure(struct gpu *g, const struct gpu_info *info, const struct function *f,
			struct fn_profile *ret)
{
	struct profiling p = { .gpu = g, .call = { .f = f }, .result = ret };
	bool good;

	*ret = (struct fn_profile){ 0 };
	if (!f->sizes_count)
		snprintf(ret->failed, sizeof(ret->failed), "%s.yaml names no sizes", f->name);
	good = f->sizes_count && !fn_program_open(g, info, f, &p.program, ret->failed);
	for (unsigned int i = 0; i < f->sizes_count && good; i++)
		good = measure_size(&p, i);
	if (good)
		draw(&p);
	fn_program_close(g, &p.program);
}
