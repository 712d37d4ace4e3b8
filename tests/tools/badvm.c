// SPDX-License-Identifier: GPL-2.0
/*
 * badvm: what any user can do to whoever looks at his processes or files. Copied under the name of a VMM it looks like a VM.
 *
 * badvm fds NUMBER [ARGUMENT…]: has that many descriptors open, until it is ended.
 * badvm stuck DIR [ARGUMENT…]: as a process whose memory nobody can read: it maps a file of a FUSE file system on DIR, whose
 *	server, another process in a user namespace of its own, never answers. Goes on, to its end, when the server ends: by a
 *	signal, or with the process that started this one, such as a test.
 * badvm lease FILE: holds a write lease on it, says "held", and does not give it up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fuse.h>

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* ---- a server that answers all but reads ---- */

static int fuse;
static bool direct; /* the next one that opens the file reads past the page cache */

static void answer(const struct fuse_in_header *to, int error, void *data, size_t len)
{
	struct fuse_out_header head = { .len = (unsigned int)(sizeof(head) + len), .error = error, .unique = to->unique };
	struct iovec parts[] = { { &head, sizeof(head) }, { data, len } };

	if (writev(fuse, parts, len ? 2 : 1) < 0 && errno != ENOENT)
		die("fuse");
}

static struct fuse_attr attributes(unsigned long node)
{
	return (struct fuse_attr){
		.ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0666, .nlink = 1, .size = 65536
	};
}

static void serve_one(const struct fuse_in_header *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 65536, .max_write = 65536 };
	struct fuse_entry_out entry = { .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = attributes(2) };
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = attributes(in->nodeid) };
	struct fuse_open_out open = { .open_flags = FOPEN_KEEP_CACHE | (direct ? FOPEN_DIRECT_IO : 0) };

	switch (in->opcode) {
	case FUSE_INIT:
		answer(in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(in, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		answer(in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(in, 0, &open, sizeof(open));
		break;
	case FUSE_READ: /* never; the page stays locked */
		direct = true;
		break;
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(in, -ENOSYS, NULL, 0);
	}
}

/* What is stuck cannot end by itself: this does when @starter, a pidfd, says that the test is gone. */
static _Noreturn void serve(int starter)
{
	static char buf[1 << 20] __attribute__((aligned(8)));
	struct pollfd fds[] = { { .fd = fuse, .events = POLLIN }, { .fd = starter, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0 && !fds[1].revents && read(fuse, buf, sizeof(buf)) > 0)
		serve_one((const struct fuse_in_header *)buf);
	_exit(EXIT_SUCCESS);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void mount_own(const char *dir)
{
	char users[64], groups[64], options[128];

	snprintf(users, sizeof(users), "0 %u 1", getuid());
	snprintf(groups, sizeof(groups), "0 %u 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		die("unshare");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", users);
	write_file("/proc/self/gid_map", groups);
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (fuse < 0 || mount("badvm", dir, "fuse", 0, options))
		die("fuse");
}

/* One process reads, and waits with a page locked; then this one waits for the page, with its memory locked. */
static void be_stuck(const char *dir, int starter)
{
	char path[4096], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	if (!fork())
		serve(starter);
	close(fuse); /* so that its end, with the server's, lets all go on */
	fd = open(path, O_RDONLY);
	if (fd < 0)
		die(path);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(fd, &byte, 1) < 0);
	}
	/* Until the reader waits these just succeed. */
	while ((fd = open(path, O_RDONLY)) >= 0 && mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED)
		close(fd);
	die(path);
}

/* ---- */

static void open_many(unsigned long nr)
{
	int fd = open("/dev/null", O_RDONLY);

	for (unsigned long i = 0; i < nr; i++)
		if (dup(fd) < 0)
			die("dup");
}

static void hold(const char *path)
{
	int fd = open(path, O_RDWR);

	signal(SIGIO, SIG_IGN);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK))
		die(path);
	puts("held");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "fds")) {
		open_many(strtoul(argv[2], NULL, 10));
	} else if (argc > 2 && !strcmp(argv[1], "stuck")) {
		int starter = (int)syscall(SYS_pidfd_open, getppid(), 0); /* before it gets a namespace of its own */

		mount_own(argv[2]);
		be_stuck(argv[2], starter);
	} else if (argc > 2 && !strcmp(argv[1], "lease")) {
		hold(argv[2]);
	} else {
		return EXIT_FAILURE;
	}
	for (;;)
		pause();
}
