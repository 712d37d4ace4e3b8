// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/lib/util.h"

ssize_t util_read_file_at(int dir, const char *name, char *ret, size_t size)
{
	_close_ int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, ret + len, size - 1 - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	ret[len] = '\0';
	return (ssize_t)len;
}

int util_open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno ?: -EBADF;
	return 0;
}

unsigned int util_find_name(const char *const *names, unsigned int nr, const char *name)
{
	unsigned int i = 0;

	while (i < nr && (!name || strcmp(names[i], name) != 0))
		i++;
	return i;
}
