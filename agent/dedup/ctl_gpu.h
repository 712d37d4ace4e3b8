/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl gpu list|bench`: devices that compute, and how fast they hash pages. Needs no agent. */
#ifndef NESTOR_DEDUP_CTL_GPU_H
#define NESTOR_DEDUP_CTL_GPU_H

#include <jansson.h>

/* An object for each device, usable or not. Says on stderr why a kind of driver gives none. NULL: no memory. */
json_t *ctl_gpu_list(void);
/*
 * An object for each usable device, and one for a processor of this machine without any driver: bytes a second that are hashed
 * where the device has them, streamed through it, copied to it or read, and copied within it. Takes seconds each.
 */
json_t *ctl_gpu_bench(void);

#endif
