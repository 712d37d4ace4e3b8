// SPDX-License-Identifier: GPL-2.0
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gpu/backend.h"

int gpu_fail(struct gpu *g, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(g->error, sizeof(g->error), fmt, args);
	va_end(args);
	return err;
}

const char *gpu_error(const struct gpu *g)
{
	return g->error;
}

void *gpu_load_library(const char *file, const char *const *names, void **functions, size_t n, char why[192])
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		snprintf(why, 192, "%s", dlerror());
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		functions[i] = dlsym(library, names[i]);
		if (functions[i])
			continue;
		snprintf(why, 192, "%s is too old: it has no %s", file, names[i]);
		dlclose(library);
		return NULL;
	}
	return library;
}

/* ---- for back ends ---- */

struct gpu_info *gpu_list_add(struct gpu_list *list, const struct gpu_backend *backend, unsigned int nr)
{
	struct gpu_info *info;

	if (list->n == GPU_DEVICES_MAX)
		return NULL;
	info = &list->devices[list->n++];
	*info = (struct gpu_info){ .backend = backend->name, .nr = nr };
	return info;
}

/* ---- programs ---- */

int gpu_build(struct gpu *g, struct gpu_program *p, const char *source, const char *ptx)
{
	const char *text = g->backend->wants_ptx ? ptx : source;
	int err;

	p->handle = 0;
	p->log[0] = '\0';
	for (size_t i = 0; i < p->n; i++)
		p->kernels[i].handle = 0;
	err = text ? g->backend->build(g, p, text) : gpu_fail(g, -EIO, "the program is not compiled for this device");
	if (err)
		gpu_unload(g, p);
	return err;
}

void gpu_unload(struct gpu *g, struct gpu_program *p)
{
	if (p->handle)
		g->backend->unload(g, p);
	p->handle = 0;
}

const struct gpu_kernel *gpu_own(const struct gpu *g, enum gpu_own_kernel kernel)
{
	return &g->own_kernels[kernel];
}

/* ---- memory ---- */

int gpu_alloc(struct gpu *g, uint64_t size, struct gpu_mem *ret)
{
	struct gpu_mem m = { .size = size };
	int err = g->backend->alloc(g, size, &m.handle);

	*ret = (struct gpu_mem){ 0 };
	if (err)
		return err;
	err = g->backend->zero(g, &m);
	if (err) {
		g->backend->free(g, m.handle);
		return err;
	}
	*ret = m;
	return 0;
}

void gpu_free(struct gpu *g, struct gpu_mem *m)
{
	if (!m->handle)
		return;
	/* Of a lost device nobody has the memory any more. */
	(void)g->backend->zero(g, m);
	g->backend->free(g, m->handle);
	*m = (struct gpu_mem){ 0 };
}

int gpu_host_alloc(struct gpu *g, uint64_t size, struct gpu_host *ret)
{
	*ret = (struct gpu_host){ .size = size };
	return g->backend->host_alloc(g, size, ret);
}

void gpu_host_free(struct gpu *g, struct gpu_host *h)
{
	if (h->at)
		g->backend->host_free(g, h);
	*h = (struct gpu_host){ 0 };
}

/* ---- work ---- */

static bool is_within(const struct gpu_mem *m, uint64_t offset, uint64_t size)
{
	return offset <= m->size && size <= m->size - offset;
}

int gpu_write(struct gpu *g, unsigned int queue, const struct gpu_mem *to, uint64_t offset, const void *from, uint64_t size,
	      struct gpu_event *done)
{
	if (!is_within(to, offset, size))
		return gpu_fail(g, -EIO, "a copy beyond the end of memory");
	return g->backend->write(g, queue, to, offset, from, size, done);
}

int gpu_read(struct gpu *g, unsigned int queue, const struct gpu_mem *from, uint64_t offset, void *to, uint64_t size,
	     struct gpu_event *done)
{
	if (!is_within(from, offset, size))
		return gpu_fail(g, -EIO, "a copy beyond the end of memory");
	return g->backend->read(g, queue, from, offset, to, size, done);
}

int gpu_copy(struct gpu *g, unsigned int queue, const struct gpu_mem *to, const struct gpu_mem *from, uint64_t size,
	     struct gpu_event *done)
{
	if (!is_within(to, 0, size) || !is_within(from, 0, size))
		return gpu_fail(g, -EIO, "a copy beyond the end of memory");
	return g->backend->copy(g, queue, to, from, size, done);
}

int gpu_launch(struct gpu *g, unsigned int queue, const struct gpu_kernel *kernel, uint32_t first, uint32_t groups,
	       const struct gpu_arg *args, size_t nargs, struct gpu_event *done)
{
	struct gpu_arg all[GPU_ARGS_MAX + 1] = { GPU_ARG(first) };

	if (nargs > GPU_ARGS_MAX || !groups)
		return gpu_fail(g, -EIO, "a launch of no groups, or with too many arguments");
	memcpy(all + 1, args, nargs * sizeof(*args));
	return g->backend->launch(g, queue, kernel, groups, all, nargs + 1, done);
}

int gpu_wait(struct gpu *g, struct gpu_event *done, uint64_t *ret_ns)
{
	return g->backend->wait(g, done, ret_ns);
}

int gpu_finish(struct gpu *g, unsigned int queue)
{
	return g->backend->finish(g, queue);
}
