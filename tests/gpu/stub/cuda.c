// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "gpu/cuda_api.h"
#include "tests/gpu/stub/cuda.h"

static struct {
	unsigned int left, calls, held;
	int code, sticky, devices, capability, wrong;
	const char *program;
	char trace[256];
	size_t traced;
} now = { .devices = 1, .capability = 90 };

static void set_failure(unsigned int nth, int code, int sticky)
{
	now.left = nth;
	now.code = code;
	now.sticky = sticky;
	now.calls = 0;
	memset(now.trace, 0, sizeof(now.trace));
	now.traced = 0;
}

static unsigned int nr_calls(void)
{
	return now.calls;
}

static void set_device(int devices, int capability, int wrong)
{
	now.devices = devices;
	now.capability = capability;
	now.wrong = wrong;
}

static unsigned int nr_held(void)
{
	return now.held;
}

static const char *get_trace(void)
{
	return now.trace;
}

static void note(char what)
{
	if (now.traced < sizeof(now.trace) - 1)
		now.trace[now.traced++] = what;
}

__attribute__((visibility("default"))) const struct stub stub = { set_failure, nr_calls, set_device, nr_held, get_trace };

/* ---- kernels: those of gpu/, as C; each work-item has a stack of its own, and rests at a barrier ---- */

#define ITEMS_MAX 64
#define PARAMS_MAX 12
#define STACK 16384 /* bytes */

struct kernel {
	const char *name;
	void (*run)(void);
	unsigned int items; /* of a group */
	bool rests; /* at barriers */
	int nr_params;
	size_t params[PARAMS_MAX]; /* bytes */
};

/* What runs */
static struct {
	const struct kernel *kernel;
	uint64_t args[PARAMS_MAX];
	unsigned int group, item;
	ucontext_t main, items[ITEMS_MAX];
	int done[ITEMS_MAX];
} running;

static void rest(void)
{
	swapcontext(&running.items[running.item], &running.main);
}

#define KERNEL(name, size, ...) static void name(uint first __attribute__((unused)), __VA_ARGS__)
#define GROUP_ID() running.group
#define LOCAL_ID() running.item
#define BARRIER() rest()
#define SHARED static
#define __global
#define __local
#define MUL_HI(a, b) (ulong)((unsigned __int128)(a) * (b) >> 64)
#include "gpu/kernels/duplicates.cl"
#include "gpu/kernels/page_hash.cl"

static struct kernel kernels[] = {
	{ .name = "page_hash", .run = (void (*)(void))page_hash, .items = 64, .rests = true },
	{ .name = "digits_count", .run = (void (*)(void))digits_count, .items = 64 },
	{ .name = "digits_move", .run = (void (*)(void))digits_move, .items = 64 },
	{ .name = "counts_sum", .run = (void (*)(void))counts_sum, .items = 64, .rests = true },
	{ .name = "duplicates_count", .run = (void (*)(void))duplicates_count, .items = 64 },
	{ .name = "duplicates_move", .run = (void (*)(void))duplicates_move, .items = 64 },
};

/* The size of each parameter, in the order that they have there. False: no such kernel. */
static int find_params(struct kernel *k, const char *program)
{
	char text[64];
	const char *line;

	snprintf(text, sizeof(text), ".entry %s(", k->name);
	line = strstr(program, text);
	if (!line)
		return 0;
	k->nr_params = 0;
	while ((line = strchr(line, '\n') + 1) && !strncmp(line, "\t.param .u", 10) && k->nr_params < PARAMS_MAX)
		k->params[k->nr_params++] = (size_t)atoi(line + 10) / 8;
	return k->nr_params;
}

/* On x86-64 and arm64 integers and pointers go the same way whatever their sizes. */
static void run_item(void)
{
	const uint64_t *a = running.args;

	((void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
		   uint64_t))running.kernel->run)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
	running.done[running.item] = 1;
}

static void begin_item(unsigned int nth)
{
	static char stacks[ITEMS_MAX][STACK] __attribute__((aligned(16)));
	ucontext_t *item = &running.items[nth];

	getcontext(item);
	item->uc_stack.ss_sp = stacks[nth];
	item->uc_stack.ss_size = STACK;
	item->uc_link = &running.main;
	makecontext(item, run_item, 0);
	running.done[nth] = 0;
}

/* From one barrier to the next, until all have ended. */
static void run_resting(unsigned int items)
{
	unsigned int left = items;

	for (unsigned int i = 0; i < items; i++)
		begin_item(i);
	while (left)
		for (running.item = 0; running.item < items; running.item++)
			if (!running.done[running.item]) {
				swapcontext(&running.main, &running.items[running.item]);
				left -= (unsigned int)running.done[running.item];
			}
}

static void run_group(const struct kernel *k)
{
	if (k->rests)
		run_resting(k->items);
	else
		for (running.item = 0; running.item < k->items; running.item++)
			run_item();
}

/* ---- the driver's functions ---- */

static CUresult call(void)
{
	now.calls++;
	if (!now.left)
		return CUDA_SUCCESS;
	if (--now.left)
		return CUDA_SUCCESS;
	now.left = now.sticky ? 1 : 0;
	return (CUresult)now.code;
}

/* Each begins as a call that may be the one to fail. */
#define CALL()                                                                                                                 \
	do {                                                                                                                   \
		CUresult code_ = call();                                                                                       \
		if (code_)                                                                                                     \
			return code_;                                                                                          \
	} while (0)

/* A thing of its own for whatever the driver has. */
static CUresult make(void **ret, size_t bytes)
{
	CALL();
	*ret = bytes > 1UL << 40 ? NULL : malloc(bytes);
	if (!*ret)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(*ret, 0xa5, bytes); /* what another has left there */
	now.held++;
	return CUDA_SUCCESS;
}

static CUresult unmake(void *thing)
{
	free(thing);
	now.held--;
	return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
	(void)flags;
	CALL();
	return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
	CALL();
	*version = 12040;
	return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
	*text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "an error of the stand-in";
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
	CALL();
	*count = now.devices;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int nr)
{
	CALL();
	*device = nr;
	return nr < now.devices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice device)
{
	CALL();
	(void)device;
	strncpy(name, "stand-in", (size_t)len);
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
	CALL();
	(void)device;
	*bytes = 1UL << 30;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device)
{
	CALL();
	(void)device;
	*value = attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT	     ? 2
		 : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? now.capability / 10
									     : now.capability % 10;
	return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
	(void)flags;
	(void)device;
	return make((void **)context, 1);
}

CUresult cuCtxDestroy_v2(CUcontext context)
{
	return unmake(context);
}

CUresult cuCtxSetCurrent(CUcontext context)
{
	(void)context;
	return CUDA_SUCCESS;
}

/* The program has to be one, and for NVIDIA's GPUs. It is looked into for what kernels want. */
CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	if (!strstr(image, ".target sm_"))
		return CUDA_ERROR_INVALID_PTX;
	now.program = image;
	return make((void **)module, 1);
}

CUresult cuModuleUnload(CUmodule module)
{
	return unmake(module);
}

/* A function that is no kernel of the program, or of which there is none here, is not found. */
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
	struct kernel *k = NULL;

	CALL();
	(void)module;
	for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++)
		if (!strcmp(kernels[i].name, name))
			k = &kernels[i];
	if (!k || !find_params(k, now.program))
		return CUDA_ERROR_INVALID_PTX;
	*function = (CUfunction)k;
	return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes)
{
	return make((void **)memory, bytes);
}

CUresult cuMemFree_v2(CUdeviceptr memory)
{
	return unmake((void *)memory);
}

CUresult cuMemsetD8_v2(CUdeviceptr memory, unsigned char value, size_t bytes)
{
	CALL();
	memset((void *)memory, value, bytes);
	return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned int flags)
{
	(void)flags;
	return make(memory, bytes);
}

CUresult cuMemFreeHost(void *memory)
{
	return unmake(memory);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
	CALL();
	(void)stream;
	memcpy((void *)to, from, bytes);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
	CALL();
	(void)stream;
	memcpy(to, (void *)from, bytes);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
	CALL();
	(void)stream;
	memcpy((void *)to, (void *)from, bytes);
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	(void)flags;
	return make((void **)stream, 1);
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
	return unmake(stream);
}

CUresult cuStreamSynchronize(CUstream stream)
{
	CALL();
	(void)stream;
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
	(void)flags;
	return make((void **)event, sizeof(struct timespec));
}

CUresult cuEventDestroy_v2(CUevent event)
{
	return unmake(event);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
	CALL();
	(void)stream;
	clock_gettime(CLOCK_MONOTONIC, (struct timespec *)event);
	return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event)
{
	CALL();
	note('w');
	(void)event;
	return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *ms, CUevent begin, CUevent end)
{
	const struct timespec *a = (const void *)begin, *b = (const void *)end;

	CALL();
	*ms = (float)((double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) / 1e6);
	return CUDA_SUCCESS;
}

/* Done when it returns; a group after the other. */
CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
			unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
			CUstream stream, void **args, void **extra)
{
	const struct kernel *k = (const void *)function;
	unsigned int groups = now.wrong == k - kernels + 1 ? grid_x - 1 : grid_x;

	CALL();
	(void)stream, (void)extra;
	if (grid_y != 1 || grid_z != 1 || block_x != k->items || block_y != 1 || block_z != 1 || shared_bytes)
		return CUDA_ERROR_LAUNCH_FAILED;
	note('l');
	for (int i = 0; i < k->nr_params; i++)
		memcpy(&running.args[i], args[i], k->params[i]);
	running.kernel = k;
	for (running.group = 0; running.group < groups; running.group++)
		run_group(k);
	return CUDA_SUCCESS;
}
