/* SPDX-License-Identifier: GPL-2.0 */
/* How much memory the machine can spare, and when somebody waits for it. */
#ifndef NESTOR_CACHE_SPARE_MEMORY_H
#define NESTOR_CACHE_SPARE_MEMORY_H

#include <stdbool.h>

#include <linux/types.h>

/* Bytes that could be used without swapping, as the kernel estimates; 0: it does not say. */
__u64 spare_memory_available(void);

/*
 * A descriptor that becomes readable when tasks wait for memory, a tenth of the time; *@ret_trigger has to stay open as
 * long. -errno where the kernel does not tell (no PSI).
 */
int spare_memory_pressure_open(int *ret_trigger);
/* Has it been so since the last call? */
bool spare_memory_pressure_drain(int fd);

#endif
