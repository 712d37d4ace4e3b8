/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The numbers of cached devices, part of the key of each of their blocks. A device changes its number when its last user
 * closes it: another program may write to the disk itself until the device is opened again, and nothing that is known under
 * the former number is found any more. A mount is a user.
 */
#ifndef NESTOR_KFUNCS_CACHE_NUMBER_H
#define NESTOR_KFUNCS_CACHE_NUMBER_H

#include "kfuncs/compat.h"

struct cache_number {
	struct list_head entry;
	struct gendisk *disk; /* the mapped device */
	int value; /* negative: all were in use at the last close, and nothing is cached until the next one */
};

/* Gives @number, of the mapped device @disk, a value. 0, or -ENOSPC: all are in use. May sleep. */
int cache_number_begin(struct cache_number *number, struct gendisk *disk);
/* Forgets what is known under it. No I/O of the device is under way. May sleep. */
void cache_number_end(struct cache_number *number);

/* Negative: none. In any context; it stays the same while the device is open. */
static inline int cache_number_value(const struct cache_number *number)
{
	return READ_ONCE(number->value);
}

/* Before all else: watches closes. 0 or -errno, logged. May sleep. */
int cache_number_open(void);
/* No device has a number any more. May sleep. */
void cache_number_close(void);

#endif
