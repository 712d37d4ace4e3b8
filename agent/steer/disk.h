/* SPDX-License-Identifier: GPL-2.0 */
/* Whole disks, by the names that the kernel gives them. They come and go. */
#ifndef NESTOR_DISK_H
#define NESTOR_DISK_H

#include <stdbool.h>

#include <linux/types.h>

#include "agent/lib/loop.h"

#define DISK_NAME_MAX 32 /* DISK_NAME_LEN */

struct disk {
	char name[DISK_NAME_MAX];
	unsigned int major, minor;
	__u64 seq; /* differs for each disk since the machine started, also where names and numbers are used again */
};

/* 0; -ENODEV: there is none of that name now; another -errno: it is not known. */
int disk_find(const char *name, struct disk *ret);

/* Is @name the name of a partition? */
bool disk_is_partition(const char *name);

/* Is @scheduler the one in use? */
bool disk_has_scheduler(const struct disk *disk, const char *scheduler);

struct disk_watch {
	struct source source;
	void (*changed)(void *data); /* a disk came or went */
	void *data;
};

/* 0 or -errno, logged. */
int disk_watch_start(struct disk_watch *w, struct loop *l);
void disk_watch_stop(struct disk_watch *w, struct loop *l);

#endif
