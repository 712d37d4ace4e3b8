/* SPDX-License-Identifier: GPL-2.0 */
/* All kernels, dialect.clh before them: as source, and compiled for NVIDIA's GPUs. Texts that make makes. */
#ifndef NESTOR_GPU_KERNELS_H
#define NESTOR_GPU_KERNELS_H

extern const char gpu_source[] __asm__("_binary_build_gpu_kernels_cl_start");
extern const char gpu_ptx[] __asm__("_binary_build_gpu_kernels_ptx_start");
extern const char gpu_dialect[] __asm__("_binary_build_gpu_dialect_cl_start"); /* for kernels of others */

#endif
