// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/cache/spare_memory.h"
#include "agent/lib/util.h"

__u64 spare_memory_available(void)
{
	_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	return kib * 1024;
}

/* The kernel tells of pressure with POLLPRI, for which the loop has no ear. */
int spare_memory_pressure_open(int *ret_trigger)
{
	static const char trigger[] = "some 200000 2000000"; /* us of stall in a window, which takes no capability */
	int fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC), ears;
	struct epoll_event event = { .events = EPOLLPRI };

	if (fd < 0)
		return -errno;
	ears = epoll_create1(EPOLL_CLOEXEC);
	if (write(fd, trigger, sizeof(trigger)) >= 0 && ears >= 0 && !epoll_ctl(ears, EPOLL_CTL_ADD, fd, &event)) {
		*ret_trigger = fd;
		return ears;
	}
	close(fd);
	if (ears >= 0)
		close(ears);
	return -EOPNOTSUPP;
}

bool spare_memory_pressure_drain(int fd)
{
	struct epoll_event event;

	return epoll_wait(fd, &event, 1, 0) > 0;
}
