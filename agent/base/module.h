/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel module, as the rooms reach it: each that needs it has a session of its own (kfuncs/session.h). */
#ifndef NESTOR_BASE_MODULE_H
#define NESTOR_BASE_MODULE_H

#include <linux/types.h>

/* A session with a module that has @feature (NESTOR_FEATURE_...). -errno, logged for @room, where there is none. */
int module_session_open(const char *room, __u64 feature);

#endif
