/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module is made of parts, each in a folder of its own, that see neither each other nor the files of this one. main.c
 * has the table of them; session.c brings their commands to them.
 */
#ifndef NESTOR_MODULE_H
#define NESTOR_MODULE_H

#include "kfuncs/compat.h"

struct nestor_session;
struct nestor_version;

struct nestor_part {
	const char *name;
	u64 feature; /* NESTOR_FEATURE_... */

	/* With the module. open() returns 0, or -errno and leaves nothing behind. Nothing that it makes may be used yet. */
	int (*open)(void);
	/*
	 * Makes what others use known to the kernel: 0 or -errno. The last that can fail of the module's init, as a user may
	 * hold the module from then on, and an init that fails frees it all the same.
	 */
	int (*publish)(void);
	void (*withdraw)(void);
	/* No program, no session and no device is left: each holds the module. */
	void (*close)(void);

	/* ---- in a session: called by one task at a time ---- */

	u8 first, last; /* its commands, by _IOC_NR() */
	/* Before the first command of @session, which has the part for itself until end(). 0 or -errno. */
	int (*begin)(struct nestor_session *session);
	void (*end)(void);
	long (*command)(unsigned int cmd, void __user *arg);
	/* Says how large its arrays are; at any time. */
	void (*describe)(struct nestor_version *version);
};

/* /dev/nestor, for the commands of @parts. 0 or -errno. */
int nestor_sessions_open(const struct nestor_part *const *parts, unsigned int nr);
void nestor_sessions_close(void);

/* Who keeps a session beyond the call that names it takes a reference. */
struct nestor_session *nestor_session_get(struct nestor_session *session);
void nestor_session_put(struct nestor_session *session);

#endif
