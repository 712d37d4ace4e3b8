/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/nestor: how the agent commands the module. Wants CAP_SYS_ADMIN. Each open file is a session. The module has parts, whose
 * commands are in headers of their own (kfuncs/cache_session.h). A session has a part from its first command to it until the
 * file is closed (the agent's death is enough); meanwhile the part's commands fail with EBUSY in any other session.
 *
 * All commands may sleep and fail with EFAULT, EINVAL (a value out of range, or a reserved one that is not 0), ENOMEM, ENOTTY
 * (this module does not know it).
 */
#ifndef NESTOR_SESSION_H
#define NESTOR_SESSION_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The interface: structs and commands of all parts. It is raised when something is not what it was; what is added is a
 * feature. Interface 1, of modules before NESTOR_GET_VERSION, had arrays for two stores.
 */
#define NESTOR_ABI 2
#define NESTOR_ABI_OLDEST 1 /* that the module still serves */

#define NESTOR_FEATURE_CACHE (1ULL << 0) /* kfuncs/cache_session.h */

struct nestor_version {
	__u32 abi; /* NESTOR_ABI of the module */
	__u32 oldest_abi; /* it serves agents of this and all between */
	__u64 features;
	char module[32]; /* its version, for people */
	/* How much of the arrays of the ABI is in use; the rest is 0. */
	__u32 cache_stores;
	__u32 cache_drops;
	__u32 cache_pools;
	__u32 reserved[17];
};

/* Numbers of commands: 0 is the session's own, 1 to 31 are the cache's. */
#define NESTOR_GET_VERSION _IOR('N', 0, struct nestor_version) /* in any session; ENOTTY: interface 1 */

#endif
