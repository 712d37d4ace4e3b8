// SPDX-License-Identifier: GPL-2.0
/* Finds devices, and opens them: above the back ends and our own kernels, which gpu.c is below. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/backend.h"
#include "gpu/kernels.h"
#include "gpu/kernels/duplicates.h"
#include "gpu/kernels/page_hash.h"

static const struct gpu_kernel own_kernels[GPU_KERNELS] = {
	[GPU_KERNEL_PAGE_HASH] = { "page_hash", PAGE_HASH_GROUP * 8, 0 },
	[GPU_KERNEL_DIGITS_COUNT] = { "digits_count", 64, 0 },
	[GPU_KERNEL_DIGITS_MOVE] = { "digits_move", 64, 0 },
	[GPU_KERNEL_COUNTS_SUM] = { "counts_sum", 64, 0 },
	[GPU_KERNEL_DOUBLES_COUNT] = { "duplicates_count", 64, 0 },
	[GPU_KERNEL_DOUBLES_MOVE] = { "duplicates_move", 64, 0 },
};

static const struct gpu_backend *const backends[] = { &gpu_cuda, &gpu_opencl };

/* ---- the list ---- */

/* NVIDIA's OpenCL has what CUDA has already. */
static void drop_doubles(struct gpu_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct gpu_info *info = &list->devices[i];
		bool twice = false;

		for (size_t j = 0; j < kept; j++)
			twice |= info->backend != list->devices[j].backend && !strcmp(info->name, list->devices[j].name);
		if (!twice)
			list->devices[kept++] = *info;
	}
	list->n = kept;
}

static int cpus_last(const void *a, const void *b)
{
	const struct gpu_info *one = a, *other = b;

	return one->is_cpu != other->is_cpu ? one->is_cpu - other->is_cpu : one->nr < other->nr ? -1 : one->nr > other->nr;
}

void gpu_list(struct gpu_list *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		backends[i]->list(ret, ret->absent[i]);
	drop_doubles(ret);
	qsort(ret->devices, ret->n, sizeof(ret->devices[0]), cpus_last);
}

static const struct gpu_backend *backend_of(const struct gpu_info *info)
{
	size_t i = 0;

	while (strcmp(backends[i]->name, info->backend) != 0)
		i++;
	return backends[i];
}

/* ---- one of them ---- */

static int build_own(struct gpu *g)
{
	memcpy(g->own_kernels, own_kernels, sizeof(own_kernels));
	g->own = (struct gpu_program){ .kernels = g->own_kernels, .n = GPU_KERNELS };
	return gpu_build(g, &g->own, gpu_source, gpu_ptx);
}

struct gpu *gpu_open(const struct gpu_info *info, char why[192])
{
	struct gpu *g = calloc(1, sizeof(*g));

	if (!g || info->refused[0]) {
		snprintf(why, 192, "%s", g ? info->refused : strerror(ENOMEM));
		free(g);
		return NULL;
	}
	g->backend = backend_of(info);
	if (g->backend->open(g, info->nr) || build_own(g) || page_hash_known_answer(g) || duplicates_known_answer(g)) {
		snprintf(why, 192, "%s", g->error);
		gpu_close(g);
		return NULL;
	}
	return g;
}

void gpu_close(struct gpu *g)
{
	if (!g)
		return;
	if (g->device) {
		gpu_unload(g, &g->own);
		g->backend->close(g);
	}
	free(g);
}

bool gpu_wants_ptx(const struct gpu_info *info)
{
	return backend_of(info)->wants_ptx;
}
