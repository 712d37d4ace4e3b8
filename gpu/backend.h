/* SPDX-License-Identifier: GPL-2.0 */
/* What gpu.c wants of CUDA and OpenCL. As in gpu.h; memory is not cleared here. */
#ifndef NESTOR_GPU_BACKEND_H
#define NESTOR_GPU_BACKEND_H

#include "gpu/gpu.h"

struct gpu {
	const struct gpu_backend *backend;
	void *device; /* the back end's */
	char error[192];
	struct gpu_kernel own_kernels[GPU_KERNELS];
	struct gpu_program own;
};

struct gpu_backend {
	const char *name;
	/* Adds its devices. Where there are none @absent says why, in up to 192 bytes. */
	void (*list)(struct gpu_list *list, char *absent);
	int (*open)(struct gpu *g, unsigned int nr);
	void (*close)(struct gpu *g);
	bool wants_ptx;
	/* @text is OpenCL C or PTX. What is there when it fails is unload()'s. */
	int (*build)(struct gpu *g, struct gpu_program *p, const char *text);
	void (*unload)(struct gpu *g, struct gpu_program *p);
	int (*alloc)(struct gpu *g, uint64_t size, uint64_t *ret);
	void (*free)(struct gpu *g, uint64_t handle);
	int (*zero)(struct gpu *g, const struct gpu_mem *m); /* waits */
	int (*host_alloc)(struct gpu *g, uint64_t size, struct gpu_host *ret);
	void (*host_free)(struct gpu *g, struct gpu_host *h);
	int (*write)(struct gpu *g, unsigned int queue, const struct gpu_mem *to, uint64_t offset, const void *from,
		     uint64_t size, struct gpu_event *done);
	int (*read)(struct gpu *g, unsigned int queue, const struct gpu_mem *from, uint64_t offset, void *to, uint64_t size,
		    struct gpu_event *done);
	int (*copy)(struct gpu *g, unsigned int queue, const struct gpu_mem *to, const struct gpu_mem *from, uint64_t size,
		    struct gpu_event *done);
	/* @args begin with the first group. */
	int (*launch)(struct gpu *g, unsigned int queue, const struct gpu_kernel *kernel, uint32_t groups,
		      const struct gpu_arg *args, size_t nargs, struct gpu_event *done);
	int (*wait)(struct gpu *g, struct gpu_event *done, uint64_t *ret_ns);
	int (*finish)(struct gpu *g, unsigned int queue);
};

extern const struct gpu_backend gpu_cuda, gpu_opencl;

/* Sets gpu_error(), and returns @err. */
int gpu_fail(struct gpu *g, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The next device of the list, zeroed; NULL: it is full. */
struct gpu_info *gpu_list_add(struct gpu_list *list, const struct gpu_backend *backend, unsigned int nr);

/* dlopen(), and all functions of a table: names[i] to functions[i]. NULL: @why says what is missing. */
void *gpu_load_library(const char *file, const char *const *names, void **functions, size_t n, char why[192]);

#endif
