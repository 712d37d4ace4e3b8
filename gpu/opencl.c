// SPDX-License-Identifier: GPL-2.0
/* OpenCL 1.2 by the ICD loader, which is opened at run time. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/backend.h"

#define LIBRARY "libOpenCL.so.1"
#define PLATFORMS_MAX 8
#define NO_PLATFORM (-1001) /* CL_PLATFORM_NOT_FOUND_KHR, of the loader */

#define FUNCTIONS(f)                                                                                                           \
	f(clGetPlatformIDs) f(clGetDeviceIDs) f(clGetDeviceInfo) f(clGetPlatformInfo) f(clCreateContext) f(clReleaseContext)   \
		f(clCreateCommandQueue) f(clReleaseCommandQueue) f(clCreateProgramWithSource) f(clBuildProgram)                \
			f(clGetProgramBuildInfo) f(clReleaseProgram) f(clCreateKernel) f(clReleaseKernel) f(clSetKernelArg)    \
				f(clCreateBuffer) f(clReleaseMemObject) f(clEnqueueFillBuffer) f(clEnqueueReadBuffer)          \
					f(clEnqueueCopyBuffer) f(clEnqueueWriteBuffer) f(clEnqueueMapBuffer)                   \
						f(clEnqueueUnmapMemObject) f(clEnqueueNDRangeKernel) f(clWaitForEvents)        \
							f(clGetEventProfilingInfo) f(clReleaseEvent) f(clFlush) f(clFinish)

#define NUMBER(name) FN_##name,
enum { FUNCTIONS(NUMBER) FUNCTIONS_NR };
#define NAME(name) #name,
static const char *const names[] = { FUNCTIONS(NAME) };
static void *functions[FUNCTIONS_NR];
#define CL(name) ((__typeof__(name) *)functions[FN_##name])

struct opencl {
	cl_context context;
	cl_device_id id;
	cl_command_queue queues[GPU_QUEUES];
};

/* ---- errors ---- */

static const char *words_of(cl_int code)
{
	switch (code) {
	case CL_DEVICE_NOT_FOUND:
		return "no device";
	case CL_DEVICE_NOT_AVAILABLE:
		return "the device is not available";
	case CL_COMPILER_NOT_AVAILABLE:
		return "there is no compiler";
	case CL_MEM_OBJECT_ALLOCATION_FAILURE:
	case CL_OUT_OF_RESOURCES:
		return "the device is out of memory";
	case CL_OUT_OF_HOST_MEMORY:
		return "out of memory";
	case CL_INVALID_BUFFER_SIZE:
		return "more memory at once than the device gives";
	case CL_BUILD_PROGRAM_FAILURE:
		return "the kernels do not compile";
	default:
		return "OpenCL's error";
	}
}

static int fail(struct gpu *g, const char *what, cl_int code)
{
	int err = -EIO;

	if (code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES || code == CL_OUT_OF_HOST_MEMORY ||
	    code == CL_INVALID_BUFFER_SIZE)
		err = -ENOMEM;
	if (code == CL_DEVICE_NOT_AVAILABLE)
		err = -ENODEV;
	return gpu_fail(g, err, "%s: %s (%d)", what, words_of(code), code);
}

/* ---- devices ---- */

/* Loaded once, and for good: drivers do not take it well to be unloaded. */
static bool load(char *why)
{
	static void *library;

	if (!library)
		library = gpu_load_library(LIBRARY, names, functions, FUNCTIONS_NR, why);
	return library != NULL;
}

/* All devices of all platforms, up to @max. */
static cl_uint find_devices(cl_device_id *ret, cl_uint max, char *absent)
{
	cl_platform_id platforms[PLATFORMS_MAX];
	cl_uint np = 0, n = 0, more;
	cl_int code;

	if (!load(absent))
		return 0;
	code = CL(clGetPlatformIDs)(PLATFORMS_MAX, platforms, &np);
	for (cl_uint i = 0; i < np && i < PLATFORMS_MAX && !code; i++, n += more) {
		more = 0;
		if (n == max || CL(clGetDeviceIDs)(platforms[i], CL_DEVICE_TYPE_ALL, max - n, ret + n, &more))
			more = 0;
		more = more < max - n ? more : max - n;
	}
	if (!n)
		snprintf(absent, 192, "%s has no %s", LIBRARY, code == NO_PLATFORM || !np ? "driver" : "device");
	return n;
}

static void device_text(cl_device_id id, cl_device_info what, char *ret, size_t size)
{
	if (CL(clGetDeviceInfo)(id, what, size, ret, NULL))
		snprintf(ret, size, "unknown");
	ret[size - 1] = '\0';
}

static cl_uint device_number(cl_device_id id, cl_device_info what)
{
	cl_uint value = 0;

	CL(clGetDeviceInfo)(id, what, sizeof(value), &value, NULL);
	return value;
}

static void describe(cl_device_id id, struct gpu_info *info)
{
	char version[64], platform[56] = "";
	cl_device_type type = 0;
	cl_platform_id of;
	cl_ulong memory = 0;

	device_text(id, CL_DEVICE_NAME, info->name, sizeof(info->name));
	device_text(id, CL_DRIVER_VERSION, version, sizeof(version));
	if (!CL(clGetDeviceInfo)(id, CL_DEVICE_PLATFORM, sizeof(cl_platform_id), &of, NULL))
		CL(clGetPlatformInfo)(of, CL_PLATFORM_NAME, sizeof(platform) - 1, platform, NULL);
	snprintf(info->driver, sizeof(info->driver), "%s %s", platform, version);
	CL(clGetDeviceInfo)(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(memory), &memory, NULL);
	CL(clGetDeviceInfo)(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	info->memory = memory;
	info->units = device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS);
	info->is_cpu = type & CL_DEVICE_TYPE_CPU;
	if (!device_number(id, CL_DEVICE_AVAILABLE))
		snprintf(info->refused, sizeof(info->refused), "its driver says that it is not available");
	else if (!device_number(id, CL_DEVICE_COMPILER_AVAILABLE))
		snprintf(info->refused, sizeof(info->refused), "its driver has no compiler");
	else if (!device_number(id, CL_DEVICE_ENDIAN_LITTLE))
		snprintf(info->refused, sizeof(info->refused), "it has the other byte order");
}

static void list_devices(struct gpu_list *list, char *absent)
{
	cl_device_id ids[GPU_DEVICES_MAX];
	cl_uint n = find_devices(ids, GPU_DEVICES_MAX, absent);

	for (cl_uint i = 0; i < n; i++) {
		struct gpu_info *info = gpu_list_add(list, &gpu_opencl, i);

		if (info)
			describe(ids[i], info);
	}
}

/* ---- opening ---- */

/* What the compiler said, as much of it as there is room for. */
static void read_log(struct opencl *o, cl_program program, struct gpu_program *p)
{
	size_t size = 0;
	char *log;

	CL(clGetProgramBuildInfo)(program, o->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
	log = calloc(1, size + 1);
	if (log)
		CL(clGetProgramBuildInfo)(program, o->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
	snprintf(p->log, sizeof(p->log), "%s", log ? log : "");
	free(log);
}

static int build(struct gpu *g, struct gpu_program *p, const char *text)
{
	struct opencl *o = g->device;
	cl_int code;
	cl_program program = CL(clCreateProgramWithSource)(o->context, 1, &text, NULL, &code);

	if (!program)
		return fail(g, "the program", code);
	p->handle = (uintptr_t)program;
	code = CL(clBuildProgram)(program, 1, &o->id, "-cl-std=CL1.2", NULL, NULL);
	if (code) {
		read_log(o, program, p);
		return gpu_fail(g, -EIO, "the kernels do not compile (%d): %.*s", code, (int)strcspn(p->log, "\n"), p->log);
	}
	for (size_t i = 0; i < p->n; i++) {
		p->kernels[i].handle = (uintptr_t)CL(clCreateKernel)(program, p->kernels[i].name, &code);
		if (!p->kernels[i].handle)
			return fail(g, p->kernels[i].name, code);
	}
	return 0;
}

static cl_kernel kernel_of(const struct gpu_kernel *k)
{
	return (cl_kernel)(uintptr_t)k->handle;
}

static void unload(struct gpu *g, struct gpu_program *p)
{
	(void)g;
	for (size_t i = 0; i < p->n; i++)
		if (p->kernels[i].handle)
			CL(clReleaseKernel)(kernel_of(&p->kernels[i]));
	CL(clReleaseProgram)((cl_program)(uintptr_t)p->handle);
}

static void close_device(struct gpu *g)
{
	struct opencl *o = g->device;

	for (size_t i = 0; i < GPU_QUEUES; i++)
		if (o->queues[i])
			CL(clReleaseCommandQueue)(o->queues[i]);
	if (o->context)
		CL(clReleaseContext)(o->context);
	free(o);
	g->device = NULL;
}

/* What is there when it fails is close_device()'s. */
static int open_device(struct gpu *g, unsigned int nr)
{
	cl_device_id ids[GPU_DEVICES_MAX];
	struct opencl *o = calloc(1, sizeof(*o));
	char absent[192];
	cl_int code;

	if (!o)
		return gpu_fail(g, -ENOMEM, "out of memory");
	g->device = o;
	if (nr >= find_devices(ids, GPU_DEVICES_MAX, absent))
		return gpu_fail(g, -ENODEV, "the device is not there any more");
	o->id = ids[nr];
	o->context = CL(clCreateContext)(NULL, 1, &o->id, NULL, NULL, &code);
	if (!o->context)
		return fail(g, "the context", code);
	for (size_t i = 0; i < GPU_QUEUES; i++) {
		o->queues[i] = CL(clCreateCommandQueue)(o->context, o->id, CL_QUEUE_PROFILING_ENABLE, &code);
		if (!o->queues[i])
			return fail(g, "a queue", code);
	}
	return 0;
}

/* ---- memory ---- */

static cl_mem mem_of(uint64_t handle)
{
	return (cl_mem)(uintptr_t)handle;
}

static int allocate(struct gpu *g, uint64_t size, uint64_t *ret)
{
	struct opencl *o = g->device;
	cl_int code;

	*ret = (uintptr_t)CL(clCreateBuffer)(o->context, CL_MEM_READ_WRITE, size, NULL, &code);
	return *ret ? 0 : fail(g, "memory of the device", code);
}

static void release(struct gpu *g, uint64_t handle)
{
	(void)g;
	CL(clReleaseMemObject)(mem_of(handle));
}

static int zero(struct gpu *g, const struct gpu_mem *m)
{
	struct opencl *o = g->device;
	const cl_uchar none = 0;
	cl_int code;

	code = CL(clEnqueueFillBuffer)(o->queues[0], mem_of(m->handle), &none, sizeof(none), 0, m->size, 0, NULL, NULL);
	code = code ?: CL(clFinish)(o->queues[0]);
	return code ? fail(g, "clearing memory", code) : 0;
}

static int allocate_host(struct gpu *g, uint64_t size, struct gpu_host *ret)
{
	struct opencl *o = g->device;
	cl_int code;
	cl_mem m = CL(clCreateBuffer)(o->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size, NULL, &code);

	if (!m)
		return fail(g, "pinned memory", code);
	ret->at = CL(clEnqueueMapBuffer)(o->queues[0], m, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, NULL, NULL, &code);
	if (code) {
		ret->at = NULL;
		CL(clReleaseMemObject)(m);
		return fail(g, "pinned memory", code);
	}
	ret->handle = (uintptr_t)m;
	return 0;
}

static void release_host(struct gpu *g, struct gpu_host *h)
{
	struct opencl *o = g->device;

	CL(clEnqueueUnmapMemObject)(o->queues[0], mem_of(h->handle), h->at, 0, NULL, NULL);
	CL(clFinish)(o->queues[0]);
	CL(clReleaseMemObject)(mem_of(h->handle));
}

/* ---- work ---- */

/* Where the driver puts the event; a null pointer is not for who wants none. */
static cl_event *event_of(struct gpu_event *done, cl_event *ret)
{
	*ret = NULL;
	return done ? ret : NULL;
}

static int sent(struct gpu *g, unsigned int queue, const char *what, cl_int code, struct gpu_event *done, cl_event event)
{
	struct opencl *o = g->device;

	if (code)
		return fail(g, what, code);
	if (done)
		done->begin = (uintptr_t)event;
	/* Else a driver may keep it until somebody waits. What goes wrong comes out then. */
	(void)CL(clFlush)(o->queues[queue]);
	return 0;
}

static int write_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *to, uint64_t offset, const void *from,
		     uint64_t size, struct gpu_event *done)
{
	struct opencl *o = g->device;
	cl_event event;
	cl_int code = CL(clEnqueueWriteBuffer)(o->queues[queue], mem_of(to->handle), CL_FALSE, offset, size, from, 0, NULL,
					       event_of(done, &event));

	return sent(g, queue, "a copy to the device", code, done, event);
}

static int read_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *from, uint64_t offset, void *to, uint64_t size,
		    struct gpu_event *done)
{
	struct opencl *o = g->device;
	cl_event event;
	cl_int code = CL(clEnqueueReadBuffer)(o->queues[queue], mem_of(from->handle), CL_FALSE, offset, size, to, 0, NULL,
					      event_of(done, &event));

	return sent(g, queue, "a copy from the device", code, done, event);
}

static int copy_mem(struct gpu *g, unsigned int queue, const struct gpu_mem *to, const struct gpu_mem *from, uint64_t size,
		    struct gpu_event *done)
{
	struct opencl *o = g->device;
	cl_event event;
	cl_int code = CL(clEnqueueCopyBuffer)(o->queues[queue], mem_of(from->handle), mem_of(to->handle), 0, 0, size, 0, NULL,
					      event_of(done, &event));

	return sent(g, queue, "a copy within the device", code, done, event);
}

static int launch(struct gpu *g, unsigned int queue, const struct gpu_kernel *kernel, uint32_t groups,
		  const struct gpu_arg *args, size_t nargs, struct gpu_event *done)
{
	struct opencl *o = g->device;
	size_t local = kernel->group_size, global = groups * local;
	cl_event event;
	cl_int code = 0;

	for (cl_uint i = 0; i < nargs && !code; i++)
		code = CL(clSetKernelArg)(kernel_of(kernel), i, args[i].size, args[i].value);
	code = code
		       ?: CL(clEnqueueNDRangeKernel)(o->queues[queue], kernel_of(kernel), 1, NULL, &global, &local, 0, NULL,
						     event_of(done, &event));
	return sent(g, queue, kernel->name, code, done, event);
}

static int wait_for(struct gpu *g, struct gpu_event *done, uint64_t *ret_ns)
{
	cl_event event = (cl_event)(uintptr_t)done->begin;
	cl_ulong from = 0, to = 0;
	cl_int code;

	if (!event)
		return 0;
	code = CL(clWaitForEvents)(1, &event);
	if (!code && ret_ns) {
		code = CL(clGetEventProfilingInfo)(event, CL_PROFILING_COMMAND_START, sizeof(from), &from, NULL);
		code = code ?: CL(clGetEventProfilingInfo)(event, CL_PROFILING_COMMAND_END, sizeof(to), &to, NULL);
		*ret_ns = to - from;
	}
	CL(clReleaseEvent)(event);
	*done = (struct gpu_event){ 0 };
	return code ? fail(g, "waiting", code) : 0;
}

static int finish(struct gpu *g, unsigned int queue)
{
	struct opencl *o = g->device;
	cl_int code = CL(clFinish)(o->queues[queue]);

	return code ? fail(g, "waiting", code) : 0;
}

const struct gpu_backend gpu_opencl = {
	.name = "opencl",
	.list = list_devices,
	.open = open_device,
	.close = close_device,
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
