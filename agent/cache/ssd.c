// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <linux/loop.h>

#include "agent/cache/ssd.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define TRIES 16 /* to get a loop device before somebody else does */

/* At the start of what is ours, which no page is written over: pages look like anything. */
static const char mark[] = "nestor cache store\n";

/* ---- is it ours to write to? ---- */

static bool is_marked(int fd)
{
	char text[sizeof(mark)] = "";

	return pread(fd, text, sizeof(mark) - 1, 0) == sizeof(mark) - 1 && !memcmp(text, mark, sizeof(mark) - 1);
}

/* Names what is on it, "" if that is nothing. 0 or -errno. */
static int find_content(int fd, char *ret, size_t size)
{
	blkid_probe probe = blkid_new_probe();
	const char *type = NULL;
	int found;

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0)) {
		blkid_free_probe(probe);
		return -EIO;
	}
	blkid_probe_enable_partitions(probe, 1);
	found = blkid_do_safeprobe(probe); /* 1: nothing; -2: more than one thing */
	if (found == 0 && blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
		blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL);
	snprintf(ret, size, "%s", found == 1 ? "" : type ?: "something");
	blkid_free_probe(probe);
	return found == -1 ? -EIO : 0;
}

static int claim(int fd, const char *path)
{
	char content[64];
	int err;

	if (is_marked(fd))
		return 0;
	err = find_content(fd, content, sizeof(content));
	if (err)
		return log_error(err, "cache: cannot read %s", path);
	if (content[0])
		return log_error(-EEXIST,
				 "cache: %s has %s on it, which the store would overwrite; if that is meant: wipefs -a %s",
				 path, content, path);
	if (pwrite(fd, mark, sizeof(mark) - 1, 0) != sizeof(mark) - 1)
		return log_error(-EIO, "cache: cannot write to %s: %m", path);
	return 0;
}

/* ---- files ---- */

static int open_file(const char *path, __u64 size)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? log_error(-errno, "cache: %s: %m", path) : fd;
	if (!size)
		return log_error(-ENOENT, "cache: there is no %s, and cache.ssd_size does not tell how large to make it", path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)size);
	if (!err)
		return fd;
	if (fd >= 0) {
		unlink(path);
		close(fd);
	}
	return log_error(-err, "cache: cannot make %s: %s", path, strerror(err));
}

/* A loop device over @fd. -EBUSY: somebody else took it meanwhile. */
static int try_loop(int control, int fd)
{
	struct loop_config config = { .fd = (__u32)fd, .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO };
	int number = ioctl(control, LOOP_CTL_GET_FREE), loop;
	char name[32];

	if (number < 0)
		return -errno;
	snprintf(name, sizeof(name), "/dev/loop%d", number);
	loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop < 0)
		return -errno;
	if (!ioctl(loop, LOOP_CONFIGURE, &config))
		return loop;
	close(loop);
	return -errno;
}

static int open_loop(int fd, const char *path)
{
	_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int loop = control < 0 ? -errno : -EBUSY;

	for (int i = 0; i < TRIES && loop == -EBUSY; i++)
		loop = try_loop(control, fd);
	return loop < 0 ? log_error(loop, "cache: cannot have a loop device for %s: %s", path, strerror(-loop)) : loop;
}

int cache_ssd_open(const char *path, __u64 size)
{
	_close_ int file = -1;
	struct stat st;
	int fd, err;

	if (!stat(path, &st) && S_ISBLK(st.st_mode)) {
		fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
		if (fd < 0)
			return log_error(-errno, "cache: %s: %s", path, errno == EBUSY ? "is in use" : strerror(errno));
	} else {
		file = open_file(path, size);
		if (file < 0)
			return file;
		if (fstat(file, &st) || !S_ISREG(st.st_mode))
			return log_error(-EINVAL, "cache: %s is no disk and no file", path);
		fd = open_loop(file, path);
		if (fd < 0)
			return fd;
	}
	err = claim(fd, path);
	if (!err)
		return fd;
	close(fd);
	return err;
}
