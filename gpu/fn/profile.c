// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/lib/util.h"
#include "gpu/fn/inputs.h"
#include "gpu/fn/profile.h"

#define TIMES 15 /* each is measured so often: what disturbs makes it longer, so the shortest one counts */
#define CUTS 3 /* whole, halves, quarters */

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

/* One size, of which a call is there. */
struct sample {
	struct fn_call call;
	struct fn_job job;
	uint8_t *data; /* inputs, or outputs */
	struct fn_point points[CUTS];
};

struct profiling {
	struct gpu *gpu;
	const struct function *f;
	unsigned int cuts;
	struct fn_program program;
	struct sample samples[FN_SIZES_MAX];
	struct fn_profile *result;
};

static int failed(struct profiling *p, const char *size, const char *why)
{
	snprintf(p->result->failed, sizeof(p->result->failed), "%s: %s", size, why);
	return -1;
}

/* ---- calls ---- */

static void note_transfer(struct profiling *p, const struct fn_call *c, uint64_t ns)
{
	double rate = (double)(c->device_bytes + c->input_bytes + c->output_bytes) * 1e9 / (double)(ns ?: 1);

	p->result->transfer = fmax(p->result->transfer, rate);
}

static int open_sample(struct profiling *p, struct sample *s, const char *size)
{
	uint64_t began, most;
	char why[192];

	if (fn_call_parse(p->f, size, &s->call, why))
		return failed(p, size, why);
	most = s->call.input_bytes > s->call.output_bytes ? s->call.input_bytes : s->call.output_bytes;
	s->data = malloc(most + 1);
	if (!s->data)
		return failed(p, size, "out of memory");
	fn_inputs(&s->call, s->data);
	for (unsigned int i = 0; i < p->cuts; i++)
		s->points[i].seconds = INFINITY;
	began = now_ns();
	if (fn_job_open(p->gpu, &s->call, &p->program, &s->job) || fn_job_write(&s->job, s->data) ||
	    fn_job_read(&s->job, s->data))
		return failed(p, size, gpu_error(p->gpu));
	note_transfer(p, &s->call, now_ns() - began);
	return 0;
}

static void close_sample(struct sample *s)
{
	if (s->job.gpu)
		fn_job_close(&s->job);
	free(s->data);
}

/* ---- times ---- */

/* Of each kernel the first groups, one of @cut parts of all of them; by kernel, so that a line's launch is one launch. */
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
	ret->work = (double)groups * (double)c->cost / c->f->kernels_count;
	ret->seconds = (double)all / 1e9 / c->f->kernels_count;
	return err;
}

static int time_sample(struct profiling *p, struct sample *s)
{
	for (unsigned int i = 0; i < p->cuts; i++) {
		struct fn_point one;

		if (time_launches(&s->job, 1U << i, &one))
			return failed(p, p->f->name, gpu_error(p->gpu));
		if (one.seconds < s->points[i].seconds)
			s->points[i] = one;
	}
	return 0;
}

/* Each in turn, over and over: what disturbs for a while disturbs some times of each. */
static int measure(struct profiling *p)
{
	int err = 0;

	for (unsigned int i = 0; i < p->f->sizes_count && !err; i++)
		err = open_sample(p, &p->samples[i], p->f->sizes[i]);
	for (unsigned int n = 0; n < TIMES && !err; n++)
		for (unsigned int i = 0; i < p->f->sizes_count && !err; i++)
			err = time_sample(p, &p->samples[i]);
	for (unsigned int i = 0; i < p->f->sizes_count; i++)
		close_sample(&p->samples[i]);
	return err;
}

/* ---- the line ---- */

static bool held_out(const struct function *f, unsigned int i)
{
	return i % 2 && i + 1 < f->sizes_count;
}

static void draw(struct profiling *p)
{
	struct fn_profile *r = p->result;
	struct fn_point drawn[FN_SIZES_MAX * CUTS] = { 0 };

	for (unsigned int i = 0; i < p->f->sizes_count; i++)
		for (unsigned int k = 0; k < p->cuts && !held_out(p->f, i); k++)
			drawn[r->drawn++] = p->samples[i].points[k];
	fn_draw_line(drawn, r->drawn, &r->launch, &r->group);
	for (unsigned int i = 0; i < p->f->sizes_count; i++)
		for (unsigned int k = 0; k < p->cuts && held_out(p->f, i); k++, r->held++) {
			const struct fn_point *at = &p->samples[i].points[k];

			r->error = fmax(r->error, fabs((r->launch + at->work * r->group) / at->seconds - 1));
		}
}

void fn_profile_measure(struct gpu *g, const struct gpu_info *info, const struct function *f, struct fn_profile *ret)
{
	struct profiling p = { .gpu = g, .f = f, .cuts = f->sliceable ? CUTS : 1, .result = ret };

	*ret = (struct fn_profile){ 0 };
	if (!f->sizes_count) {
		snprintf(ret->failed, sizeof(ret->failed), "%s.yaml names no sizes", f->name);
		return;
	}
	if (!fn_program_open(g, info, f, &p.program, ret->failed) && !measure(&p))
		draw(&p);
	fn_program_close(g, &p.program);
}
