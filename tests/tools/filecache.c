// SPDX-License-Identifier: GPL-2.0
/*
 * filecache: uses files through the page cache, in one known way for each line that it reads, which it answers with
 * one. It does so in one process, so that no start of a program comes between.
 *	cold FILE 0           writes it back and drops its pages
 *	read FILE BYTES       reads it from begin to end, so many bytes a time
 *	direct FILE BYTES     the same, around the cache
 *	write FILE BYTES      writes a new file of that size
 *	map FILE STEP         maps it and touches every STEPth page
 *	random FILE STEP      the same, telling the kernel that no readahead is wanted
 *	scattered FILE 0      reads each of its pages once, in an order without neighbours; the answer is nanoseconds per page
 *	list DIRECTORY 0      looks at each file in it; the answer is how many there are
 *	cached FILE 0         the answer is how many of its pages are in the cache
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static size_t size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		err(1, "fstat");
	return (size_t)st.st_size;
}

static char *map_file(int fd, size_t size)
{
	char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static size_t cold(int fd, size_t unused)
{
	(void)unused;
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		err(1, "fadvise");
	return 0;
}

static size_t read_all(int fd, size_t bytes)
{
	size_t total = 0;
	ssize_t n;
	void *buf;

	if (posix_memalign(&buf, PAGE, bytes))
		errx(1, "no memory");
	while ((n = read(fd, buf, bytes)) > 0)
		total += (size_t)n;
	if (n < 0)
		err(1, "read");
	free(buf);
	return total;
}

static size_t write_all(int fd, size_t bytes)
{
	static const char buf[16 * PAGE];

	for (size_t left = bytes; left;) {
		ssize_t n = write(fd, buf, left < sizeof(buf) ? left : sizeof(buf));

		if (n <= 0)
			err(1, "write");
		left -= (size_t)n;
	}
	return bytes;
}

static size_t touch(int fd, size_t step, int advice)
{
	size_t size = size_of(fd), n = 0;
	char *p = map_file(fd, size);

	madvise(p, size, advice);
	for (size_t at = 0; at < size; at += step * PAGE, n++)
		(void)*(volatile char *)(p + at);
	munmap(p, size);
	return n;
}

static size_t map(int fd, size_t step)
{
	return touch(fd, step, MADV_NORMAL);
}

static size_t random_map(int fd, size_t step)
{
	return touch(fd, step, MADV_RANDOM);
}

static size_t cached(int fd, size_t unused)
{
	size_t size = size_of(fd), pages = (size + PAGE - 1) / PAGE, n = 0;
	unsigned char *present = malloc(pages);
	char *p = map_file(fd, size);

	(void)unused;
	if (!present || mincore(p, size, present))
		err(1, "mincore");
	for (size_t i = 0; i < pages; i++)
		n += present[i] & 1;
	munmap(p, size);
	free(present);
	return n;
}

static size_t scattered(int fd, size_t unused)
{
	size_t pages = size_of(fd) / PAGE;
	static char buf[PAGE];
	struct timespec a, b;

	(void)unused;
	if (!pages || pages % 1009 == 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		errx(1, "fadvise, or a size that is a multiple of a prime that is used here");
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t i = 0; i < pages; i++)
		if (pread(fd, buf, PAGE, (off_t)(i * 1009 % pages * PAGE)) != PAGE)
			err(1, "pread");
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((size_t)(b.tv_sec - a.tv_sec) * 1000000000 + (size_t)b.tv_nsec - (size_t)a.tv_nsec) / pages;
}

static size_t list(int fd, size_t unused)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *entry;
	struct stat st;
	size_t n = 0;

	(void)unused;
	if (!dir)
		err(1, "fdopendir");
	while ((entry = readdir(dir)))
		n += !fstatat(fd, entry->d_name, &st, 0) && S_ISREG(st.st_mode);
	closedir(dir);
	return n;
}

static const struct {
	const char *name;
	int flags; /* of open */
	size_t (*run)(int fd, size_t number);
} uses[] = {
	{ "cold", O_RDONLY, cold },
	{ "read", O_RDONLY, read_all },
	{ "direct", O_RDONLY | O_DIRECT, read_all },
	{ "write", O_WRONLY | O_CREAT | O_TRUNC, write_all },
	{ "map", O_RDONLY, map },
	{ "random", O_RDONLY, random_map },
	{ "scattered", O_RDONLY, scattered },
	{ "list", O_RDONLY, list },
	{ "cached", O_RDONLY, cached },
};

static size_t use(const char *name, const char *path, size_t number)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		size_t result;
		int fd;

		if (strcmp(uses[i].name, name))
			continue;
		fd = open(path, uses[i].flags | O_CLOEXEC, 0644);
		if (fd < 0)
			err(1, "%s", path);
		result = uses[i].run(fd, number);
		close(fd);
		return result;
	}
	errx(2, "unknown: %s", name);
}

int main(void)
{
	char line[4200], name[16], path[4096];
	size_t number;

	if (mlockall(MCL_CURRENT)) /* else its own pages might come and go meanwhile */
		err(1, "mlockall");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %4095s %zu", name, path, &number) != 3)
			errx(2, "not understood: %s", line);
		printf("%zu\n", use(name, path, number));
		fflush(stdout);
	}
	return 0;
}
