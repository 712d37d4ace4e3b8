// SPDX-License-Identifier: GPL-2.0
/*
 * fsfuzz DIR SEED OPERATIONS [CGROUP [OTHER]]: does to files of its own in DIR all that files can have done to them, and
 * compares what it reads with a copy in memory. Its copy is in memory before it joins CGROUP, whose limit then is on the files'
 * pages alone. A second thread reads all the time what the first one writes. A third one stores to buffers of direct I/O: pages
 * of the file OTHER, mapped, on another disk. Ends with 1 at the first wrong byte, and says where.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include <liburing.h>

#define FILES 4
#define SIZE (1 << 20) /* a file's, at most */
#define PAGE 4096
#define LENGTH (96 * 1024) /* of an operation, at most */
#define PIECES 4 /* of an operation that is several at once */

struct file {
	char name[32];
	int fd, direct; /* direct: -1 where the file system has none */
	unsigned char *shadow;
	size_t size;
};

static struct file files[FILES];
static unsigned char *scratch; /* aligned, LENGTH or a file */
static uint64_t state;
static unsigned long operation;
static aio_context_t aio;
static struct io_uring ring;
static bool has_ring;
static volatile bool over;
static int other = -1; /* LENGTH bytes */
static unsigned char *aside; /* aligned, LENGTH */

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % below;
}

static void fail(const char *what)
{
	fprintf(stderr, "fsfuzz: operation %lu: %s: %s\n", operation, what, strerror(errno));
	exit(2);
}

/* What a file system cannot do, or has no room for, is left out. */
static bool is_refused(void)
{
	return errno == EOPNOTSUPP || errno == EINVAL || errno == ENOTTY || errno == EXDEV || errno == ENOSPC ||
	       errno == ETXTBSY;
}

/* ---- what is compared ---- */

static void compare(const struct file *f, const unsigned char *got, size_t at, size_t len, const char *how)
{
	size_t i = 0;

	if (!memcmp(got, f->shadow + at, len))
		return;
	while (got[i] == f->shadow[at + i])
		i++;
	fprintf(stderr, "fsfuzz: STALE: operation %lu, %s of %s: byte %zu is %02x and has to be %02x (size %zu)\n", operation,
		how, f->name, at + i, got[i], f->shadow[at + i], f->size);
	exit(1);
}

static void any_range(size_t limit, size_t align, size_t *at, size_t *len)
{
	*at = any((uint32_t)limit) / align * align;
	*len = (1 + any(any(4) ? 16384 : LENGTH)) / align * align ?: align;
	if (*at + *len > SIZE)
		*len = SIZE - *at;
}

static void fill(size_t len)
{
	uint64_t *words = (uint64_t *)scratch, seed = ((uint64_t)operation << 32) ^ state;

	for (size_t i = 0; i < (len + 7) / 8; i++)
		words[i] = seed + i * 0x9e3779b97f4a7c15ULL;
}

static void wrote(struct file *f, size_t at, size_t len)
{
	memcpy(f->shadow + at, scratch, len);
	if (at + len > f->size)
		f->size = at + len;
}

static void read_and_compare(const struct file *f, int fd, size_t align, const char *how)
{
	size_t at, len;
	ssize_t n;

	if (!f->size)
		return;
	any_range(f->size, align, &at, &len);
	n = pread(fd, scratch, len, (off_t)at);
	if (n < 0)
		fail(how);
	if ((size_t)n != (at + len > f->size ? f->size - at : len)) {
		fprintf(stderr, "fsfuzz: operation %lu, %s of %s: %zd bytes at %zu of %zu\n", operation, how, f->name, n, at,
			f->size);
		exit(1);
	}
	compare(f, scratch, at, (size_t)n, how);
}

/* ---- operations ---- */

static void op_read(struct file *f)
{
	read_and_compare(f, f->fd, 1, "read");
}

static void op_direct_read(struct file *f)
{
	if (f->direct >= 0)
		read_and_compare(f, f->direct, PAGE, "direct read");
}

static void op_read_all(struct file *f)
{
	ssize_t n = pread(f->fd, scratch, SIZE, 0);

	if (n != (ssize_t)f->size)
		fail("read of all");
	compare(f, scratch, 0, f->size, "read of all");
}

static void op_write(struct file *f)
{
	size_t at, len;

	any_range(SIZE - 1, any(2) ? 1 : PAGE, &at, &len);
	fill(len);
	if (pwrite(f->fd, scratch, len, (off_t)at) != (ssize_t)len)
		fail("write");
	wrote(f, at, len);
}

static void op_direct_write(struct file *f)
{
	size_t at, len;

	if (f->direct < 0)
		return;
	any_range(SIZE - PAGE, any(4) ? PAGE : 512, &at, &len);
	fill(len);
	if (pwrite(f->direct, scratch, len, (off_t)at) == (ssize_t)len)
		wrote(f, at, len);
	else if (!is_refused())
		fail("direct write");
}

static void op_aio_write(struct file *f)
{
	struct iocb io = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (uintptr_t)scratch }, *list[] = { &io };
	struct io_event event;
	size_t at, len;

	if (f->direct < 0)
		return;
	any_range(SIZE - PAGE, PAGE, &at, &len);
	fill(len);
	io.aio_fildes = (uint32_t)f->direct;
	io.aio_offset = (int64_t)at;
	io.aio_nbytes = len;
	if (syscall(SYS_io_submit, aio, 1, list) != 1 || syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) != 1)
		fail("aio");
	if (event.res == (int64_t)len)
		wrote(f, at, len);
	else
		errno = (int)-event.res, fail("aio write");
}

/* The bytes that a write or read of all pieces moved. */
static size_t ring_move(int fd, bool writes, size_t at, size_t piece)
{
	struct io_uring_cqe *done;
	size_t moved = 0;

	for (size_t i = 0; i < PIECES; i++) {
		struct io_uring_sqe *todo = io_uring_get_sqe(&ring);
		void *bytes = scratch + i * piece;

		if (writes)
			io_uring_prep_write(todo, fd, bytes, (unsigned int)piece, at + i * piece);
		else
			io_uring_prep_read(todo, fd, bytes, (unsigned int)piece, at + i * piece);
	}
	if (io_uring_submit_and_wait(&ring, PIECES) != PIECES)
		fail("io_uring");
	for (size_t i = 0; i < PIECES; i++) {
		if (io_uring_wait_cqe(&ring, &done))
			fail("io_uring");
		if (done->res < 0)
			errno = -done->res, fail("io_uring");
		moved += (size_t)done->res;
		io_uring_cqe_seen(&ring, done);
	}
	return moved;
}

/* Pieces that lie side by side are under way at once. */
static void op_ring(struct file *f)
{
	int fd = f->direct >= 0 && any(2) ? f->direct : f->fd;
	bool writes = any(2);
	size_t at, len, there;

	if (!has_ring)
		return;
	any_range(SIZE - 1, PIECES * PAGE, &at, &len);
	if (writes)
		fill(len);
	there = writes || f->size >= at + len ? len : f->size > at ? f->size - at : 0;
	if (ring_move(fd, writes, at, len / PIECES) != there)
		errno = EIO, fail("io_uring");
	if (writes)
		wrote(f, at, len);
	else
		compare(f, scratch, at, there, "io_uring");
}

static void op_map(struct file *f)
{
	size_t at, len;
	unsigned char *map;

	if (!f->size)
		return;
	map = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	any_range(f->size, 1, &at, &len);
	if (at + len > f->size)
		len = f->size - at;
	compare(f, map + at, at, len, "map");
	if (any(2)) {
		fill(len);
		memcpy(map + at, scratch, len);
		wrote(f, at, len);
		if (any(2) && msync(map, f->size, MS_SYNC))
			fail("msync");
	}
	munmap(map, f->size);
}

/* What a second thread stores, over and over: @len bytes of scratch @to pages that are a buffer. */
static struct {
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t changed;
	unsigned char *to; /* NULL: nothing */
	size_t len;
	unsigned int rounds;
} storing = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *store_beside(void *unused)
{
	while (!over) {
		pthread_mutex_lock(&storing.lock);
		while (!storing.to && !over)
			pthread_cond_wait(&storing.changed, &storing.lock);
		if (storing.to)
			memcpy(storing.to, scratch, storing.len);
		storing.rounds++;
		pthread_mutex_unlock(&storing.lock);
		sched_yield();
	}
	return unused;
}

/* Returns when all has been stored once. */
static void store_to(unsigned char *to, size_t len)
{
	unsigned int before;

	pthread_mutex_lock(&storing.lock);
	before = storing.rounds;
	storing.to = to;
	storing.len = len;
	pthread_cond_signal(&storing.changed);
	while (to && storing.rounds == before) {
		pthread_mutex_unlock(&storing.lock);
		sched_yield();
		pthread_mutex_lock(&storing.lock);
	}
	pthread_mutex_unlock(&storing.lock);
}

/* Direct I/O whose buffer is another file's pages, while somebody stores to them. What a write left is read back. */
static void op_direct_mapped(struct file *f)
{
	bool writes = any(2);
	size_t at, len;
	unsigned char *map;
	ssize_t n;

	if (f->direct < 0 || other < 0 || (!writes && f->size < PAGE))
		return;
	any_range(writes ? SIZE - PAGE : f->size / PAGE * PAGE, PAGE, &at, &len);
	map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	if (map == MAP_FAILED)
		fail("mmap of the other file");
	fill(len);
	store_to(map, len);
	n = writes ? pwrite(f->direct, map, len, (off_t)at) : pread(f->direct, map, len, (off_t)at);
	store_to(map, len); /* all of it once more */
	store_to(NULL, 0);
	if (n < 0 && !is_refused())
		fail("direct I/O of mapped pages");
	if (writes && n > 0) {
		if (pread(f->direct, aside, (size_t)n, (off_t)at) != n)
			fail("direct read of what mapped pages left");
		memcpy(scratch, aside, (size_t)n);
		wrote(f, at, (size_t)n);
	}
	munmap(map, LENGTH);
	fdatasync(other);
	posix_fadvise(other, 0, 0, POSIX_FADV_DONTNEED);
}

static void op_truncate(struct file *f)
{
	size_t size = any(SIZE);

	if (ftruncate(f->fd, (off_t)size)) {
		if (!is_refused())
			fail("truncate");
		return;
	}
	if (size < f->size)
		memset(f->shadow + size, 0, f->size - size);
	f->size = size;
}

static void op_zeroes(struct file *f)
{
	int mode = any(2) ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	size_t at, len;

	any_range(SIZE - 1, any(2) ? 1 : PAGE, &at, &len);
	if (!fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
		memset(f->shadow + at, 0, len);
	else if (!is_refused())
		fail("fallocate");
}

static void op_shift(struct file *f)
{
	bool collapse = any(2);
	size_t at, len;

	any_range(SIZE - PAGE, PAGE, &at, &len);
	if (at + len >= f->size || (!collapse && f->size + len > SIZE))
		return;
	if (fallocate(f->fd, collapse ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE, (off_t)at, (off_t)len)) {
		if (!is_refused())
			fail("collapse or insert");
		return;
	}
	if (collapse) {
		memmove(f->shadow + at, f->shadow + at + len, f->size - at - len);
		f->size -= len;
		memset(f->shadow + f->size, 0, len);
	} else {
		memmove(f->shadow + at + len, f->shadow + at, f->size - at);
		memset(f->shadow + at, 0, len);
		f->size += len;
	}
}

static int open_file(struct file *f, int flags)
{
	f->fd = open(f->name, O_RDWR | flags, 0600);
	if (f->fd < 0)
		fail(f->name);
	f->direct = open(f->name, O_RDWR | O_DIRECT);
	return f->fd;
}

static void close_file(struct file *f)
{
	close(f->fd);
	if (f->direct >= 0)
		close(f->direct);
}

static void op_rename(struct file *f)
{
	struct file *g = &files[any(FILES)];

	if (g == f || renameat2(AT_FDCWD, f->name, AT_FDCWD, g->name, RENAME_EXCHANGE))
		return;
	close_file(f);
	close_file(g);
	for (size_t i = 0; i < SIZE; i++) {
		unsigned char c = f->shadow[i];

		f->shadow[i] = g->shadow[i];
		g->shadow[i] = c;
	}
	size_t size = f->size;

	f->size = g->size;
	g->size = size;
	open_file(f, 0);
	open_file(g, 0);
}

static void op_new(struct file *f)
{
	close_file(f);
	if (unlink(f->name))
		fail("unlink");
	memset(f->shadow, 0, SIZE);
	f->size = 0;
	open_file(f, O_CREAT | O_EXCL);
}

static void op_reflink(struct file *f)
{
	struct file *g = &files[any(FILES)];

	if (g == f)
		return;
	if (ioctl(g->fd, FICLONE, f->fd)) {
		if (!is_refused())
			fail("reflink");
		return;
	}
	/* A clone of a shorter file leaves the rest. */
	memcpy(g->shadow, f->shadow, f->size);
	if (f->size > g->size)
		g->size = f->size;
}

static void op_sync(struct file *f)
{
	if (any(2) ? fsync(f->fd) : fdatasync(f->fd))
		fail("sync");
}

static void op_drop(struct file *f)
{
	if (any(2))
		fdatasync(f->fd);
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void op_ahead(struct file *f)
{
	posix_fadvise(f->fd, any(SIZE), LENGTH, POSIX_FADV_WILLNEED);
}

static const struct {
	void (*run)(struct file *f);
	unsigned int weight;
} ops[] = {
	{ op_read, 30 },     { op_read_all, 6 }, { op_direct_read, 8 },	  { op_write, 20 }, { op_direct_write, 10 },
	{ op_aio_write, 6 }, { op_map, 10 },	 { op_truncate, 2 },	  { op_zeroes, 3 }, { op_shift, 2 },
	{ op_rename, 1 },    { op_new, 1 },	 { op_reflink, 1 },	  { op_sync, 4 },   { op_drop, 6 },
	{ op_ahead, 4 },     { op_ring, 10 },	 { op_direct_mapped, 4 },
};

static void one_operation(void)
{
	unsigned int all = 0, pick;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		all += ops[i].weight;
	pick = any(all);
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (pick < ops[i].weight) {
			ops[i].run(&files[any(FILES)]);
			return;
		}
		pick -= ops[i].weight;
	}
}

/* Reads by name: files come and go. What it gets may be old or new. */
static void *read_beside(void *buffer)
{
	unsigned int seed = 1;

	while (!over) {
		int fd = open(files[rand_r(&seed) % FILES].name, O_RDONLY);

		if (fd < 0)
			continue;
		for (int i = 0; i < 8 && !over; i++)
			if (pread(fd, buffer, LENGTH, (off_t)(rand_r(&seed) % SIZE)) < 0)
				break;
		close(fd);
	}
	return NULL;
}

/* btrfs compares sums of the buffer, and calls one that changes an error of the disk. */
static void open_other(const char *name)
{
	struct statfs fs;

	if (statfs(".", &fs))
		fail("statfs");
	if (fs.f_type == BTRFS_SUPER_MAGIC)
		return;
	other = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	aside = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (other < 0 || aside == MAP_FAILED || pwrite(other, scratch, LENGTH, 0) != LENGTH)
		fail(name);
}

static void join_cgroup(const char *path)
{
	char procs[512];
	FILE *f;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	f = fopen(procs, "w");
	if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f))
		fail(procs);
}

int main(int argc, char **argv)
{
	static unsigned char beside[LENGTH];
	unsigned long operations = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	pthread_t reader, storer;

	if (!operations || chdir(argv[1])) {
		fprintf(stderr, "usage: fsfuzz DIR SEED OPERATIONS [CGROUP [OTHER]]\n");
		return 2;
	}
	state = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	scratch = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (scratch == MAP_FAILED || syscall(SYS_io_setup, 4, &aio))
		fail("set-up");
	has_ring = !io_uring_queue_init(PIECES, &ring, 0); /* kernels may be without */
	for (int i = 0; i < FILES; i++) {
		files[i].shadow = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (files[i].shadow == MAP_FAILED)
			fail("shadow");
		memset(files[i].shadow, 0, SIZE);
		snprintf(files[i].name, sizeof(files[i].name), "f%d", i);
		open_file(&files[i], O_CREAT | O_TRUNC);
	}
	if (argc > 5)
		open_other(argv[5]);
	if (argc > 4)
		join_cgroup(argv[4]);
	if (pthread_create(&reader, NULL, read_beside, beside) || pthread_create(&storer, NULL, store_beside, NULL))
		fail("thread");
	for (operation = 0; operation < operations; operation++)
		one_operation();
	for (int i = 0; i < FILES; i++)
		op_read_all(&files[i]);
	over = true;
	store_to(NULL, 0);
	pthread_join(reader, NULL);
	pthread_join(storer, NULL);
	printf("%lu operations%s\n", operation, has_ring ? "" : ", none by io_uring");
	return 0;
}
