/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_CACHE_CTL_HOLDER_H
#define NESTOR_CACHE_CTL_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Is the block device @disk mounted, swapped to, or below another device (LVM, dm-crypt, md, bcache), or one of its
 * partitions, or the whole disk of a partition? Then @text says which, and what to do. Mounts of other mount namespaces
 * are not seen.
 */
bool cache_holder_find(dev_t disk, char *text, size_t size);
/* Does the kernel know partitions on it? */
bool cache_holder_has_partitions(dev_t disk);

#endif
