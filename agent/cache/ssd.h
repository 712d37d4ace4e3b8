/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_CACHE_SSD_H
#define NESTOR_CACHE_SSD_H

#include <linux/types.h>

/*
 * Opens @path for the SSD store: a block device that nobody else uses, or a file, which is made with @size bytes if there is
 * none and is reached through a loop device that goes when the descriptor is closed. What has anything on it that is not
 * ours is refused. The descriptor of a block device, or -errno, logged. May sleep.
 */
int cache_ssd_open(const char *path, __u64 size);

#endif
