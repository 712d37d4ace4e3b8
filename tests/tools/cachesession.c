// SPDX-License-Identifier: GPL-2.0
/*
 * cachesession PAGES POOLS [SSD]: opens a session of the module as the agent does, with a memory store of that many pages,
 * POOLS pools of the same weight, and a block device as SSD; drops the last pool again, and ends. Exit status 1: something
 * was refused.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kfuncs/session.h"

int main(int argc, char **argv)
{
	struct nestor_cache_limit limit = { .store = NESTOR_CACHE_MEMORY };
	__u32 pools, id;
	int session;

	if (argc < 3)
		error(1, 0, "usage: cachesession PAGES POOLS [SSD]");
	limit.pages = strtoull(argv[1], NULL, 10);
	pools = strtoul(argv[2], NULL, 10);
	session = open("/dev/nestor", O_RDWR | O_CLOEXEC);
	if (session < 0)
		error(1, errno, "/dev/nestor");
	if (ioctl(session, NESTOR_CACHE_SET_LIMIT, &limit))
		error(1, errno, "the limit");
	for (id = 0; id < pools; id++) {
		struct nestor_cache_pool pool = { .id = id, .cgroup = id, .weight = { 100, 100 } };

		if (ioctl(session, NESTOR_CACHE_SET_POOL, &pool))
			error(1, errno, "pool %u", id);
	}
	if (argc > 3) {
		struct nestor_cache_ssd ssd = { .fd = open(argv[3], O_RDWR | O_EXCL | O_CLOEXEC) };

		if (ssd.fd < 0 || ioctl(session, NESTOR_CACHE_OPEN_SSD, &ssd))
			error(1, errno, "%s", argv[3]);
	}
	id = pools - 1;
	if (ioctl(session, NESTOR_CACHE_DROP_POOL, &id))
		error(1, errno, "dropping pool %u", id);
	return 0;
}
