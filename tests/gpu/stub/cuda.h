/* SPDX-License-Identifier: GPL-2.0 */
/* A stand-in for libcuda.so.1, for machines without an NVIDIA GPU: the driver API on the processor, and failures on demand. */
#ifndef NESTOR_GPU_STUB_CUDA_H
#define NESTOR_GPU_STUB_CUDA_H

struct stub {
	/* Lets the @nth call from now on fail with @code, and those after it too if @sticky; of all functions that return a
	 * CUresult and do more than release. 0: none.
	 */
	void (*fail)(unsigned int nth, int code, int sticky);
	/* Calls since then. */
	unsigned int (*calls)(void);
	/*
	 * What the next device opened has: devices, ten times the compute capability, and the number of a kernel of which it
	 * leaves out the last group (1: the first one; 0: none).
	 */
	void (*device)(int devices, int capability, int wrong);
	/* Allocations, contexts, streams, modules and events that are not released. */
	unsigned int (*held)(void);
	/* Since fail() was called: "l" for each launch and "w" for each wait for an event, in their order. */
	const char *(*trace)(void);
};
extern const struct stub stub;

#endif
