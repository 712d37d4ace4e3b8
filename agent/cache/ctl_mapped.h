/* SPDX-License-Identifier: GPL-2.0 */
/* Mapped devices of the second-level cache, by device-mapper. */
#ifndef NESTOR_CACHE_CTL_MAPPED_H
#define NESTOR_CACHE_CTL_MAPPED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/dm-ioctl.h>

#define MAPPED_TARGET "nestor-cache"
#define MAPPED_PLAIN "linear" /* of a device that is in use and was detached */

struct mapped {
	char name[DM_NAME_LEN]; /* below /dev/mapper */
	char target[DM_MAX_TYPE_NAME]; /* "": it has no table */
	dev_t number; /* its own */
	dev_t disk; /* of the disk below */
	uint64_t sectors;
	bool exists;
	bool is_ours; /* its uuid says so, also while it is a plain one */
	bool is_open, is_read_only;
};

/* All but the last return 0 or -errno; -EOPNOTSUPP: device-mapper does not answer. */

/* The device with that name; it need not exist. */
int cache_mapped_find(const char *name, struct mapped *ret);
/* Calls @each for each of ours until it returns true. */
int cache_mapped_for_each(bool (*each)(const struct mapped *m, void *arg), void *arg);
/* Of name, disk, sectors and is_read_only of @m. Waits for udev. *@ret_step: what failed. */
int cache_mapped_create(const struct mapped *m, const char **ret_step);
/*
 * Puts @target under a device, also one in use: I/O under way ends before, later I/O waits. The kernel does this in one
 * call. This program may be on the device itself, and must not read a page of itself meanwhile. *@ret_step: what failed.
 */
int cache_mapped_replace(const struct mapped *m, const char *target, const char **ret_step);
int cache_mapped_remove(const char *name);
/* Has the kernel a target of that name? */
bool cache_mapped_has_target(const char *target);

#endif
