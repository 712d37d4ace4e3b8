// SPDX-License-Identifier: GPL-2.0
/*
 * faults: does a thing again and again, and has the first allocation fail that the kernel makes in each of its system
 * calls, then the second, and so on, until none makes that many; then it has to succeed. Prints how many allocations
 * there were, and how often the thing was done all the same. What was done is undone each time. In the environment STEP: only
 * one of so many allocations fails.
 *
 *	faults session PAGES POOLS SSD  a session of the module as the agent opens it: stores of that size, pools, an SSD
 *	faults table NAME DEVICE        a table with a nestor-cache of DEVICE is loaded into the mapped device NAME; of its
 *	                                allocations only the module's fail
 *	faults reclaim CGROUP BYTES FILE…  FILEs are read, and the cgroup gives pages back
 *	faults read FILE                the first 512 KiB of a file are read that is not in the page cache
 *
 * Wants a kernel with fault injection (/proc/self/fail-nth), and its debugfs settings to let every allocation fail.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>
#include <linux/fs.h>

#include "kfuncs/cache_session.h"

#define AT_MOST 20000 /* allocations: more would take hours */
#define CHUNK 65536

/* The allocation that fails, and whether a call has made as many. */
static unsigned int nth;
static bool has_failed;

static int fail_nth_file(int flags)
{
	int fd = open("/proc/thread-self/fail-nth", flags);

	if (fd < 0)
		error(1, errno, "/proc/thread-self/fail-nth");
	return fd;
}

static void set_fault(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fd, text, (size_t)len, 0) != len)
		error(1, errno, "fail-nth");
}

/* A system call, given as an expression, with the fault armed; leaves its result in @result and its errno as it was. */
#define FAULTY(result, call)                                                                                                   \
	do {                                                                                                                   \
		int fd_ = fail_nth_file(O_RDWR), errno_;                                                                       \
		char left_[16] = "";                                                                                           \
		set_fault(fd_, nth);                                                                                           \
		(result) = (call);                                                                                             \
		errno_ = errno;                                                                                                \
		if (pread(fd_, left_, sizeof(left_) - 1, 0) < 0)                                                               \
			error(1, errno, "fail-nth");                                                                           \
		set_fault(fd_, 0);                                                                                             \
		close(fd_);                                                                                                    \
		has_failed |= !atoi(left_);                                                                                    \
		errno = errno_;                                                                                                \
	} while (0)

static int faulty_ioctl(int fd, unsigned long request, void *arg)
{
	int result;

	FAULTY(result, ioctl(fd, request, arg));
	return result;
}

/* ---- things to do; -1 with errno: it was not done ---- */

static int set_up(int session, char **argv)
{
	struct nestor_cache_limit limit = { .store = NESTOR_CACHE_MEMORY, .pages = strtoull(argv[0], NULL, 10) };
	__u32 pools = (__u32)atoi(argv[1]), last = pools - 1;
	struct nestor_cache_ssd ssd = {};
	int result = faulty_ioctl(session, NESTOR_CACHE_SET_LIMIT, &limit);

	for (__u32 id = 0; !result && id < pools; id++) {
		struct nestor_cache_pool pool = { .id = id, .cgroup = id, .weight = { 100, 100 } };

		result = faulty_ioctl(session, NESTOR_CACHE_SET_POOL, &pool);
	}
	if (result)
		return result;
	ssd.fd = open(argv[2], O_RDWR | O_EXCL | O_CLOEXEC);
	if (ssd.fd < 0)
		return -1;
	result = faulty_ioctl(session, NESTOR_CACHE_OPEN_SSD, &ssd);
	close(ssd.fd);
	return result ? result : faulty_ioctl(session, NESTOR_CACHE_DROP_POOL, &last);
}

static int open_session(char **argv)
{
	int session, result;

	FAULTY(session, open("/dev/nestor", O_RDWR | O_CLOEXEC));
	if (session < 0)
		return -1;
	result = set_up(session, argv);
	close(session);
	return result;
}

static struct dm_ioctl dm_request(const char *name, size_t size)
{
	struct dm_ioctl r = { .version = { 4, 0, 0 }, .data_size = (__u32)size, .data_start = sizeof(r) };

	snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

#define PARAMETER "/sys/module/nestor/parameters/fail_nth"

/* The module arms the fault itself, for its own part. */
static int load_with_fault(int control, struct dm_ioctl *load)
{
	int fd = open(PARAMETER, O_RDWR | O_CLOEXEC), result;
	char left[16] = "";

	if (fd < 0)
		error(1, errno, PARAMETER);
	set_fault(fd, nth);
	result = ioctl(control, DM_TABLE_LOAD, load);
	if (pread(fd, left, sizeof(left) - 1, 0) < 0)
		error(1, errno, PARAMETER);
	set_fault(fd, 0);
	close(fd);
	has_failed = !atoi(left);
	return result;
}

static int load_table(char **argv)
{
	struct {
		struct dm_ioctl head;
		struct dm_target_spec target;
		char args[64];
	} load = { .head = dm_request(argv[0], sizeof(load)), .target = { .target_type = "nestor-cache" } };
	struct dm_ioctl clear = dm_request(argv[0], sizeof(clear));
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), device = open(argv[1], O_RDONLY | O_CLOEXEC), result;
	__u64 bytes = 0;

	if (control < 0 || device < 0 || ioctl(device, BLKGETSIZE64, &bytes))
		error(1, errno, "%s", argv[1]);
	close(device);
	load.head.target_count = 1;
	load.target.length = bytes / 512;
	snprintf(load.args, sizeof(load.args), "%s", argv[1]);
	result = load_with_fault(control, &load.head);
	if (!result && ioctl(control, DM_TABLE_CLEAR, &clear))
		error(1, errno, "DM_TABLE_CLEAR");
	close(control);
	return result;
}

static int read_chunks(const char *path, int chunks, bool faulty)
{
	static char chunk[CHUNK];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		error(1, errno, "%s", path);
	for (int i = 0; i < chunks; i++) {
		if (faulty)
			FAULTY(n, read(fd, chunk, sizeof(chunk)));
		else
			n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
	}
	close(fd);
	return n < 0 ? -1 : 0;
}

static ssize_t write_file(const char *path, const char *text, bool faulty)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		error(1, errno, "%s", path);
	if (faulty)
		FAULTY(n, write(fd, text, strlen(text)));
	else
		n = write(fd, text, strlen(text));
	if (n < 0 && errno == EAGAIN) /* memory.reclaim: not as much as that */
		n = 0;
	close(fd);
	return n;
}

static int reclaim(char **argv)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/memory.reclaim", argv[0]);
	for (char **file = argv + 2; *file; file++)
		if (read_chunks(*file, INT_MAX, false))
			error(1, errno, "%s", *file);
	return write_file(path, argv[1], true) < 0 ? -1 : 0;
}

static int read_file(char **argv)
{
	if (write_file("/proc/sys/vm/drop_caches", "1", false) < 0)
		error(1, errno, "drop_caches");
	return read_chunks(argv[0], 8, true);
}

static const struct thing {
	const char *name;
	int args;
	int (*once)(char **argv);
} things[] = {
	{ "session", 3, open_session },
	{ "table", 2, load_table },
	{ "reclaim", 2, reclaim },
	{ "read", 1, read_file },
};

int main(int argc, char **argv)
{
	const struct thing *t = things, *end = things + sizeof(things) / sizeof(*things);
	const char *step = getenv("STEP");
	unsigned int done = 0;
	int result;

	while (t < end && argc > 1 && strcmp(t->name, argv[1]))
		t++;
	if (argc < 2 || t == end || argc - 2 < t->args)
		error(1, 0, "usage: faults session|table|reclaim|read ARG...");
	do {
		nth += step ? (unsigned int)atoi(step) : 1;
		has_failed = false;
		result = t->once(argv + 2);
		done += !result && has_failed;
	} while (has_failed && nth < AT_MOST);
	if (result)
		error(1, errno, "without a failure it is not done either");
	printf("up to %u allocations; %u of their failures did not matter\n", nth - 1, done);
	return 0;
}
