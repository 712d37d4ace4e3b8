// SPDX-License-Identifier: GPL-2.0
/*
 * durable write DIR N: writes the Nth version of file N % 16 in DIR, so that it is there for good when this returns.
 * durable check DIR N: each file has its last version up to N, or the one that was being written after; whole.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 16
#define SIZE_MAX_BYTES (64 * 1024)

static uint64_t words[SIZE_MAX_BYTES / 8], got[SIZE_MAX_BYTES / 8];

static size_t version(unsigned long n)
{
	size_t size = (1 + n * 2654435761u % 16) * 4096;

	for (size_t i = 0; i < size / 8; i++)
		words[i] = n << 32 | i;
	return size;
}

/* By another name first, as who cares for his files does. */
static void write_version(unsigned long n)
{
	char name[32], fresh[40];
	size_t size = version(n);
	int fd;

	snprintf(name, sizeof(name), "f%lu", n % FILES);
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || pwrite(fd, words, size, 0) != (ssize_t)size || fsync(fd) || rename(fresh, name))
		error(1, errno, "%s", name);
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fsync(fd))
		error(1, errno, "the directory");
}

static void check_file(unsigned long file, unsigned long n)
{
	unsigned long last = n >= file ? n - (n - file) % FILES : 0, has;
	char name[32];
	size_t size;
	int fd;

	if (!last)
		return;
	snprintf(name, sizeof(name), "f%lu", file);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		error(1, errno, "%s, version %lu", name, last);
	if (read(fd, got, sizeof(got)) < 8)
		error(1, 0, "%s is cut, and has to be version %lu", name, last);
	has = got[0] >> 32;
	size = version(has);
	if (has < last || has > n + FILES || has % FILES != file || memcmp(got, words, size))
		error(1, 0, "%s has version %lu, or part of it, and has to have %lu", name, has, last);
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 4 ? strtoul(argv[3], NULL, 0) : 0;

	if (argc != 4 || chdir(argv[2]))
		error(2, errno, "usage: durable write|check DIR N");
	if (!strcmp(argv[1], "write"))
		write_version(n);
	else
		for (unsigned long file = 0; file < FILES; file++)
			check_file(file, n);
	return 0;
}
