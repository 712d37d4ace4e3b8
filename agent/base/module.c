// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/module.h"
#include "agent/lib/log.h"
#include "kfuncs/session.h"

#define DEVICE "/dev/nestor"

/* 0, or -EPROTONOSUPPORT, logged: what to do is the same whichever of both is the older one. */
static int check_version(const char *room, const struct nestor_version *v, __u64 feature)
{
	if (v->oldest_abi > NESTOR_ABI || v->abi < NESTOR_ABI)
		return log_error(
			-EPROTONOSUPPORT,
			"%s: the loaded kernel module has interface %u and this agent %u: install and load both from one "
			"release (make install module-install; rmmod nestor; modprobe nestor)",
			room, v->abi, NESTOR_ABI);
	if (!(v->features & feature))
		return log_error(-EPROTONOSUPPORT, "%s: the loaded kernel module, version %.*s, was built without it", room,
				 (int)sizeof(v->module), v->module);
	return 0;
}

int module_session_open(const char *room, __u64 feature)
{
	/* What a module has that does not know the question. */
	struct nestor_version version = { .abi = 1, .oldest_abi = 1 };
	int session = open(DEVICE, O_RDWR | O_CLOEXEC), err;

	if (session < 0 && errno == ENOENT)
		return log_error(-ENOENT, "%s: there is no " DEVICE ": the kernel module nestor is not loaded", room);
	if (session < 0 && errno == EBUSY) /* interface 1 has one session at a time */
		return log_error(-EBUSY, "%s: another agent has " DEVICE " open", room);
	if (session < 0)
		return log_error(-errno, "%s: cannot open " DEVICE ": %m", room);
	if (ioctl(session, NESTOR_GET_VERSION, &version) && errno != ENOTTY)
		err = log_error(-errno, "%s: cannot ask the kernel module for its version: %m", room);
	else
		err = check_version(room, &version, feature);
	if (!err)
		return session;
	close(session);
	return err;
}
