// SPDX-License-Identifier: GPL-2.0
/* CUDA's driver API, which is opened at run time. The driver compiles the kernels' PTX for the GPU that it finds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/backend.h"
#include "gpu/cuda_api.h"

#define LIBRARY "libcuda.so.1"
#define CAPABILITY_MIN 70 /* what the PTX is for: ten times the version that NVIDIA gives */

#define FUNCTIONS(f)                                                                                                           \
	f(cuInit) f(cuDriverGetVersion) f(cuGetErrorString) f(cuDeviceGetCount) f(cuDeviceGet) f(cuDeviceGetName)              \
		f(cuDeviceTotalMem_v2) f(cuDeviceGetAttribute) f(cuCtxCreate_v2) f(cuCtxDestroy_v2) f(cuCtxSetCurrent)         \
			f(cuModuleLoadData) f(cuModuleUnload) f(cuModuleGetFunction) f(cuMemAlloc_v2) f(cuMemFree_v2)          \
				f(cuMemsetD8_v2) f(cuMemHostAlloc) f(cuMemFreeHost) f(cuMemcpyHtoDAsync_v2)                    \
					f(cuMemcpyDtoHAsync_v2) f(cuMemcpyDtoDAsync_v2) f(cuStreamCreate)                      \
						f(cuStreamDestroy_v2) f(cuStreamSynchronize) f(cuEventCreate)                  \
							f(cuEventDestroy_v2) f(cuEventRecord) f(cuEventSynchronize)            \
								f(cuEventElapsedTime) f(cuLaunchKernel)

#define NUMBER(name) FN_##name,
enum { FUNCTIONS(NUMBER) FUNCTIONS_NR };
#define NAME(name) #name,
static const char *const names[] = { FUNCTIONS(NAME) };
static void *functions[FUNCTIONS_NR];
#define CU(name) ((__typeof__(name) *)functions[FN_##name])

struct cuda {
	CUcontext context;
	CUstream streams[GPU_QUEUES];
};

/* ---- errors ---- */

/* After these the driver refuses all that comes: the context has to go. */
static bool is_lost(CUresult code)
{
	return code == CUDA_ERROR_DEINITIALIZED || code == CUDA_ERROR_NO_DEVICE || code == CUDA_ERROR_ECC_UNCORRECTABLE ||
	       (code >= CUDA_ERROR_ILLEGAL_ADDRESS && code <= CUDA_ERROR_LAUNCH_FAILED);
}

static const char *words_of(CUresult code)
{
	const char *text = NULL;

	if (code == CUDA_ERROR_UNSUPPORTED_PTX_VERSION || code == CUDA_ERROR_INVALID_PTX)
		return "the driver is too old for our kernels";
	if (code == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)
		return "the library and the kernel's driver are of different versions";
	CU(cuGetErrorString)(code, &text);
	return text ? text : "CUDA's error";
}

static int fail(struct gpu *g, const char *what, CUresult code)
{
	int err = code == CUDA_ERROR_OUT_OF_MEMORY ? -ENOMEM : is_lost(code) ? -ENODEV : -EIO;

	return gpu_fail(g, err, "%s: %s (%d)", what, words_of(code), code);
}

/* ---- devices ---- */

/* Loaded once, and for good. */
static bool load(char *why)
{
	static void *library;
	CUresult code;

	if (!library)
		library = gpu_load_library(LIBRARY, names, functions, FUNCTIONS_NR, why);
	if (!library)
		return false;
	code = CU(cuInit)(0);
	if (code)
		snprintf(why, 192, "%s: %s (%d)", LIBRARY, words_of(code), code);
	return !code;
}

static int attribute(CUdevice device, int what)
{
	int value = 0;

	CU(cuDeviceGetAttribute)(&value, what, device);
	return value;
}

static void describe(CUdevice device, struct gpu_info *info)
{
	int version = 0, capability;
	size_t bytes = 0;

	if (CU(cuDeviceGetName)(info->name, sizeof(info->name), device))
		snprintf(info->name, sizeof(info->name), "unknown");
	CU(cuDriverGetVersion)(&version);
	snprintf(info->driver, sizeof(info->driver), "CUDA %d.%d", version / 1000, version % 1000 / 10);
	CU(cuDeviceTotalMem_v2)(&bytes, device);
	info->memory = bytes;
	info->units = (unsigned int)attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	capability = 10 * attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
		     attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
	if (capability < CAPABILITY_MIN)
		snprintf(info->refused, sizeof(info->refused), "its compute capability is %d.%d, and %d.%d is wanted",
			 capability / 10, capability % 10, CAPABILITY_MIN / 10, CAPABILITY_MIN % 10);
}

static void list_devices(struct gpu_list *list, char *absent)
{
	int n = 0;

	if (!load(absent))
		return;
	CU(cuDeviceGetCount)(&n);
	if (!n)
		snprintf(absent, 192, "%s has no device", LIBRARY);
	for (int i = 0; i < n; i++) {
		struct gpu_info *info = gpu_list_add(list, &gpu_cuda, (unsigned int)i);
		CUdevice device;

		if (!info)
			return;
		if (CU(cuDeviceGet)(&device, i))
			snprintf(info->refused, sizeof(info->refused), "the driver does not give it");
		else
			describe(device, info);
	}
}

/* ---- opening ---- */

/* Whoever calls next may be another thread, or have another device. */
static struct cuda *use(struct gpu *g)
{
	struct cuda *c = g->device;

	CU(cuCtxSetCurrent)(c->context);
	return c;
}

static void close_device(struct gpu *g)
{
	struct cuda *c = use(g);

	for (size_t i = 0; i < GPU_QUEUES; i++)
		if (c->streams[i])
			CU(cuStreamDestroy_v2)(c->streams[i]);
	if (c->context)
		CU(cuCtxDestroy_v2)(c->context);
	free(c);
	g->device = NULL;
}

static int build(struct gpu *g, struct gpu_program *p, const char *text)
{
	CUmodule module = NULL;
	CUfunction kernel;
	CUresult code;

	use(g);
	code = CU(cuModuleLoadData)(&module, text);
	if (code)
		return fail(g, "the kernels", code);
	p->handle = (uintptr_t)module;
	for (size_t i = 0; i < p->n; i++) {
		code = CU(cuModuleGetFunction)(&kernel, module, p->kernels[i].name);
		if (code)
			return fail(g, p->kernels[i].name, code);
		p->kernels[i].handle = (uintptr_t)kernel;
	}
	return 0;
}

static void unload(struct gpu *g, struct gpu_program *p)
{
	use(g);
	CU(cuModuleUnload)((CUmodule)(uintptr_t)p->handle);
}

/* What is there when it fails is close_device()'s. */
static int open_device(struct gpu *g, unsigned int nr)
{
	struct cuda *c = calloc(1, sizeof(*c));
	char why[192];
	CUdevice device;
	CUresult code;

	if (!c)
		return gpu_fail(g, -ENOMEM, "out of memory");
	if (!load(why)) {
		free(c);
		return gpu_fail(g, -ENODEV, "%s", why);
	}
	g->device = c;
	code = CU(cuDeviceGet)(&device, (int)nr);
	if (!code)
		code = CU(cuCtxCreate_v2)(&c->context, 0, device);
	for (size_t i = 0; i < GPU_QUEUES && !code; i++)
		code = CU(cuStreamCreate)(&c->streams[i], CU_STREAM_NON_BLOCKING);
	return code ? fail(g, "opening", code) : 0;
}

/* ---- memory ---- */

static int allocate(struct gpu *g, uint64_t size, uint64_t *ret)
{
	CUresult code;

	use(g);
	code = CU(cuMemAlloc_v2)(ret, size);
	return code ? fail(g, "memory of the device", code) : 0;
}

static void release(struct gpu *g, uint64_t handle)
{
	use(g);
	CU(cuMemFree_v2)(handle);
}

static int zero(struct gpu *g, const struct gpu_mem *m)
{
	struct cuda *c = use(g);
	CUresult code = CUDA_SUCCESS;

	/* Our streams do not wait for the one that clears, nor it for them. */
	for (size_t i = 0; i < GPU_QUEUES && !code; i++)
		code = CU(cuStreamSynchronize)(c->streams[i]);
	if (!code)
		code = CU(cuMemsetD8_v2)(m->handle, 0, m->size);
	if (!code)
		code = CU(cuStreamSynchronize)(NULL);
	return code ? fail(g, "clearing memory", code) : 0;
}

static int allocate_host(struct gpu *g, uint64_t size, struct gpu_host *ret)
{
	CUresult code;

	use(g);
	code = CU(cuMemHostAlloc)(&ret->at, size, 0);
	return code ? fail(g, "pinned memory", code) : 0;
}

static void release_host(struct gpu *g, struct gpu_host *h)
{
	use(g);
	CU(cuMemFreeHost)(h->at);
}

/* ---- work ---- */

static CUevent event_of(uint64_t handle)
{
	return (CUevent)(uintptr_t)handle;
}

static void forget(struct gpu_event *done)
{
	if (done->begin)
		CU(cuEventDestroy_v2)(event_of(done->begin));
	if (done->end)
		CU(cuEventDestroy_v2)(event_of(done->end));
	*done = (struct gpu_event){ 0 };
}

/* An event in a stream, in *@ret. */
static CUresult mark(CUstream stream, uint64_t *ret)
{
	CUevent event = NULL;
	CUresult code = CU(cuEventCreate)(&event, CU_EVENT_DEFAULT);

	*ret = (uintptr_t)event;
	return code ? code : CU(cuEventRecord)(event, stream);
}

static CUresult begin(CUstream stream, struct gpu_event *done)
{
	return done ? mark(stream, &done->begin) : CUDA_SUCCESS;
}

static int end(struct gpu *g, const char *what, CUresult code, CUstream stream, struct gpu_event *done)
{
	if (!code && done)
		code = mark(stream, &done->end);
	if (!code)
		return 0;
	if (done)
		forget(done);
	return fail(g, what, code);
}

static int write_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *to, uint64_t offset, const void *from,
		     uint64_t size, struct gpu_event *done)
{
	CUstream stream = use(g)->streams[queue];
	CUresult code = begin(stream, done);

	if (!code)
		code = CU(cuMemcpyHtoDAsync_v2)(to->handle + offset, from, size, stream);
	return end(g, "a copy to the device", code, stream, done);
}

static int read_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *from, uint64_t offset, void *to, uint64_t size,
		    struct gpu_event *done)
{
	CUstream stream = use(g)->streams[queue];
	CUresult code = begin(stream, done);

	if (!code)
		code = CU(cuMemcpyDtoHAsync_v2)(to, from->handle + offset, size, stream);
	return end(g, "a copy from the device", code, stream, done);
}

static int copy_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *to, const struct gpu_mem *from, uint64_t size,
		    struct gpu_event *done)
{
	CUstream stream = use(g)->streams[queue];
	CUresult code = begin(stream, done);

	if (!code)
		code = CU(cuMemcpyDtoDAsync_v2)(to->handle, from->handle, size, stream);
	return end(g, "a copy within the device", code, stream, done);
}

static int launch(struct gpu *g, unsigned int queue, const struct gpu_kernel *kernel, uint32_t groups,
		  const struct gpu_arg *args, size_t nargs, struct gpu_event *done)
{
	struct cuda *c = use(g);
	CUstream stream = c->streams[queue];
	void *values[GPU_ARGS_MAX + 1];
	CUresult code = begin(stream, done);

	for (size_t i = 0; i < nargs; i++)
		values[i] = (void *)(uintptr_t)args[i].value;
	if (!code)
		code = CU(cuLaunchKernel)((CUfunction)(uintptr_t)kernel->handle, groups, 1, 1, kernel->group_size, 1, 1, 0,
					  stream, values, NULL);
	return end(g, kernel->name, code, stream, done);
}

static int wait_for(struct gpu *g, struct gpu_event *done, uint64_t *ret_ns)
{
	CUresult code;
	float ms = 0;

	if (!done->end)
		return 0;
	use(g);
	code = CU(cuEventSynchronize)(event_of(done->end));
	if (!code && ret_ns) {
		code = CU(cuEventElapsedTime)(&ms, event_of(done->begin), event_of(done->end));
		*ret_ns = (uint64_t)((double)ms * 1e6);
	}
	forget(done);
	return code ? fail(g, "waiting", code) : 0;
}

static int finish(struct gpu *g, unsigned int queue)
{
	CUresult code = CU(cuStreamSynchronize)(use(g)->streams[queue]);

	return code ? fail(g, "waiting", code) : 0;
}

const struct gpu_backend gpu_cuda = {
	.name = "cuda",
	.list = list_devices,
	.open = open_device,
	.close = close_device,
	.wants_ptx = true,
	.build = build,
	.unload = unload,
	.alloc = allocate,
	.free = release,
	.zero = zero,
	.host_alloc = allocate_host,
	.host_free = release_host,
	.write = write_mem,
	.read = read_mem,
	.copy = copy_mem,
	.launch = launch,
	.wait = wait_for,
	.finish = finish,
};
