// SPDX-License-Identifier: GPL-2.0
/*
 * directio read|write FILE COUNT [SIZE]: COUNT direct I/Os of SIZE bytes (4096), one at a time, never two in
 * sequence, so that nothing merges them. A known load without fio's start-up time, which is seconds in a VM.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPAN (16 << 20) /* of the file that is touched */

int main(int argc, char **argv)
{
	size_t size = argc > 4 ? strtoul(argv[4], NULL, 10) : 4096;
	int write_it = argc > 3 && !strcmp(argv[1], "write");
	unsigned long count, blocks = SPAN / size;
	void *buffer;
	int fd;

	if (argc < 4)
		error(2, 0, "usage: directio read|write FILE COUNT [SIZE]");
	count = strtoul(argv[3], NULL, 10);
	fd = open(argv[2], (write_it ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		error(1, errno, "%s", argv[2]);
	if (posix_memalign(&buffer, 4096, size))
		error(1, ENOMEM, "buffer");
	memset(buffer, 0x5a, size);
	for (unsigned long i = 0; i < count; i++) {
		off_t at = (off_t)(i * 7919 % blocks * size); /* a prime stride: neighbours are never next to each other */
		ssize_t n = write_it ? pwrite(fd, buffer, size, at) : pread(fd, buffer, size, at);

		if (n != (ssize_t)size)
			error(1, errno, "%s at %lld", argv[1], (long long)at);
	}
	return 0;
}
