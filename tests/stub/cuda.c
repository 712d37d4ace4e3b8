// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "gpu/cuda_api.h"
#include "gpu/pagehash.h"
#include "tests/stub/cuda.h"

static struct {
	unsigned int left, calls, held;
	int code, sticky, devices, capability, wrong;
} now = { .devices = 1, .capability = 90 };

static void set_failure(unsigned int nth, int code, int sticky)
{
	now.left = nth;
	now.code = code;
	now.sticky = sticky;
	now.calls = 0;
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

__attribute__((visibility("default"))) const struct stub stub = { set_failure, nr_calls, set_device, nr_held };

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

/* The program has to be one, and for NVIDIA's GPUs. */
CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	if (!strstr(image, ".target sm_") || !strstr(image, ".entry page_hash"))
		return CUDA_ERROR_INVALID_PTX;
	return make((void **)module, 1);
}

CUresult cuModuleUnload(CUmodule module)
{
	return unmake(module);
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
	CALL();
	(void)name;
	*function = (CUfunction)module;
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

/* page_hash of gpu/pagehash.cl: the first words of its keys are the secret. */
CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
			unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
			CUstream stream, void **args, void **extra)
{
	uint32_t first = *(uint32_t *)args[0], nr = *(uint32_t *)args[4], from = first * PAGE_HASH_GROUP;
	const uint8_t *pages = *(const uint8_t **)args[1], *secret = *(const uint8_t **)args[2];
	uint64_t *hashes = *(uint64_t **)args[3];

	CALL();
	(void)function, (void)stream, (void)extra;
	if (grid_y != 1 || grid_z != 1 || block_x != 8 * PAGE_HASH_GROUP || block_y != 1 || block_z != 1 || shared_bytes)
		return CUDA_ERROR_LAUNCH_FAILED;
	for (uint32_t i = from; i < from + grid_x * PAGE_HASH_GROUP && i < nr; i++)
		hashes[i] =
			XXH3_64bits_withSecret(pages + (size_t)i * PAGE_HASH_PAGE, PAGE_HASH_PAGE, secret, PAGE_HASH_SECRET) ^
			(uint64_t)now.wrong;
	return CUDA_SUCCESS;
}
