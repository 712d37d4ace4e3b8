/* SPDX-License-Identifier: GPL-2.0 */
/* OpenCL C for CUDA's driver: by clang, which has to be installed where functions are to run on such devices. */
#ifndef NESTOR_GPU_PTX_H
#define NESTOR_GPU_PTX_H

#include <stddef.h>

/*
 * 0 and a text to be freed, or -errno with what clang says in @log. Seconds; starts a process, whose standard input and output
 * are files, and waits for it.
 */
int ptx_compile(const char *source, char **ret, char *log, size_t log_size);

#endif
