/* SPDX-License-Identifier: GPL-2.0 */
/*
 * GPUs by CUDA's driver API or by OpenCL, and the CPU as one by OpenCL (PoCL). Both are opened at run time: a machine without
 * them has no devices, which is no error. Kernels are in gpu, written once in OpenCL C.
 *
 * A device is of one thread at a time; several devices may be open. Calls return 0 or
 *	-ENOMEM	the device or the machine has no memory left,
 *	-ENODEV	the device was lost: close it,
 *	-EIO	anything else went wrong,
 * and gpu_error() then says what, in words of the driver where it has some. Copies and launches return at once and are done
 * in the order of their queue; gpu_wait() and gpu_finish() wait, and tell of what failed meanwhile.
 */
#ifndef NESTOR_GPU_H
#define NESTOR_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPU_QUEUES 2 /* of a device: while one copies the other may compute */
#define GPU_DEVICES_MAX 32
#define GPU_ARGS_MAX 20 /* of a kernel */

enum gpu_own_kernel {
	GPU_KERNEL_PAGE_HASH, /* gpu/kernels/page_hash.cl */
	GPU_KERNEL_DIGITS_COUNT, /* gpu/kernels/duplicates.cl, these */
	GPU_KERNEL_DIGITS_MOVE,
	GPU_KERNEL_COUNTS_SUM,
	GPU_KERNEL_DOUBLES_COUNT,
	GPU_KERNEL_DOUBLES_MOVE,
	GPU_KERNELS,
};

struct gpu_info {
	const char *backend; /* "cuda" or "opencl" */
	char name[128];
	char driver[128]; /* and its version */
	uint64_t memory; /* bytes */
	unsigned int units; /* compute units, multiprocessors, processors */
	bool is_cpu;
	char refused[192]; /* why it cannot be used; empty if it can */
	unsigned int nr; /* among those of its back end */
};

struct gpu_list {
	struct gpu_info devices[GPU_DEVICES_MAX];
	size_t n;
	char absent[2][192]; /* why a back end has none; empty if it has */
};

struct gpu;

/* Memory of a device. Opaque, but for its size in bytes. */
struct gpu_mem {
	uint64_t handle;
	uint64_t size;
};

/* Memory of the machine that copies are fastest from and to. */
struct gpu_host {
	void *at;
	uint64_t handle;
	uint64_t size;
};

/* A copy or launch that is under way. Zeroed before its first use; gpu_wait() releases what it holds. */
struct gpu_event {
	uint64_t begin, end;
};

/* Of OpenCL C after gpu/dialect.clh, whose KERNEL() it is. */
struct gpu_kernel {
	const char *name;
	uint32_t group_size; /* work-items, as its KERNEL() says */
	uint64_t handle; /* by gpu_build() */
};

/* The caller has the kernels, with names and sizes. */
struct gpu_program {
	struct gpu_kernel *kernels;
	size_t n;
	uint64_t handle;
	char log[2048]; /* what the compiler said, if it refused */
};

struct gpu_arg {
	const void *value;
	size_t size;
};
#define GPU_ARG(x)                                                                                                             \
	{                                                                                                                      \
		&(x), sizeof(x)                                                                                                \
	} /* an integer of 32 or 64 bits, or the handle of a struct gpu_mem */

/* All devices, usable or not; GPUs before CPUs, and a GPU that both back ends have but once. Loads the drivers. */
void gpu_list(struct gpu_list *ret);
/*
 * The same from a process of its own: who has something to lose, or is going to fork, does not load drivers himself. 0 or
 * -errno; -EIO: a driver crashed.
 */
int gpu_list_apart(struct gpu_list *ret);

/*
 * Opens a device, compiles the kernels, and has them compute what is known: a device that gets it wrong is refused. NULL:
 * @why says why, up to 192 bytes. May take seconds.
 */
struct gpu *gpu_open(const struct gpu_info *info, char why[192]);
/* What was allocated of it has to be freed before. NULL is fine. */
void gpu_close(struct gpu *g);
const char *gpu_error(const struct gpu *g);

/* Bytes are zeroed, here and when they are freed: drivers clear nothing between one tenant and the next. */
int gpu_alloc(struct gpu *g, uint64_t size, struct gpu_mem *ret);
void gpu_free(struct gpu *g, struct gpu_mem *m);
int gpu_host_alloc(struct gpu *g, uint64_t size, struct gpu_host *ret);
void gpu_host_free(struct gpu *g, struct gpu_host *h);

/* @done may be NULL. What is copied must stay as it is until it is. */
int gpu_write(struct gpu *g, unsigned int queue, const struct gpu_mem *to, uint64_t offset, const void *from, uint64_t size,
	      struct gpu_event *done);
int gpu_read(struct gpu *g, unsigned int queue, const struct gpu_mem *from, uint64_t offset, void *to, uint64_t size,
	     struct gpu_event *done);
/* From one memory of the device to another, which must not be the same. */
int gpu_copy(struct gpu *g, unsigned int queue, const struct gpu_mem *to, const struct gpu_mem *from, uint64_t size,
	     struct gpu_event *done);
/*
 * Builds @p, from OpenCL C for OpenCL and from PTX for CUDA, each of which may be NULL elsewhere. Runs the driver's compiler
 * over text that may be anybody's: not in a process that has something to lose. May take seconds.
 */
int gpu_build(struct gpu *g, struct gpu_program *p, const char *source, const char *ptx);
void gpu_unload(struct gpu *g, struct gpu_program *p); /* what was not built is fine */
bool gpu_wants_ptx(const struct gpu_info *info);

/* Work-groups @first to @first + @groups - 1: a slice of a kernel, or all of it. @args are those after the first one. */
int gpu_launch(struct gpu *g, unsigned int queue, const struct gpu_kernel *kernel, uint32_t first, uint32_t groups,
	       const struct gpu_arg *args, size_t nargs, struct gpu_event *done);
/* One of ours, which an open device has built. */
const struct gpu_kernel *gpu_own(const struct gpu *g, enum gpu_own_kernel kernel);
/* How long the device took, in ns, to *@ret_ns (may be NULL). */
int gpu_wait(struct gpu *g, struct gpu_event *done, uint64_t *ret_ns);
int gpu_finish(struct gpu *g, unsigned int queue);

#endif
