// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "agent/cache/ctl_disk.h"
#include "agent/cache/ctl_holder.h"
#include "agent/cache/ctl_mapped.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define TEXT_MAX (PATH_MAX + 256)

static const char *reason(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "device-mapper does not answer; load it (modprobe dm-mod)";
	case -EACCES:
	case -EPERM:
		return "only root may do that; try sudo";
	default:
		return strerror(-err);
	}
}

/* ---- names ---- */

/* Of the mapped device for a disk that is called @path; a path that stays over reboots makes such a name. False: too long. */
static bool name_for(const char *path, char *ret, size_t size)
{
	const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t len = strlen(last), suffix = strlen(CACHE_DISK_SUFFIX);
	bool whole = len > suffix && !strcmp(last + len - suffix, CACHE_DISK_SUFFIX);

	if (!len || (size_t)snprintf(ret, size, "%s%s", last, whole ? "" : CACHE_DISK_SUFFIX) >= size)
		return false;
	/* Others would be written in another way below /dev/mapper. */
	for (char *c = ret; *c; c++)
		if (!strchr("#+-.:=@_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *c))
			*c = '_';
	return true;
}

/* False: @path is no block device. */
static bool disk_number(const char *path, dev_t *ret)
{
	struct stat st;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	*ret = st.st_rdev;
	return true;
}

struct search {
	dev_t number; /* the disk's, or its own */
	struct mapped found;
};

static bool is_the_one(const struct mapped *m, void *arg)
{
	struct search *s = arg;

	if (m->disk != s->number && m->number != s->number)
		return false;
	s->found = *m;
	return true;
}

/* Ours that is that device, or lies on it; it need not exist. */
static int find_on(dev_t number, struct mapped *ret)
{
	struct search s = { .number = number };
	int err = cache_mapped_for_each(is_the_one, &s);

	*ret = s.found;
	return err;
}

/* Ours that has the name, or is or lies on the disk, that @text tells. 0 or -errno; it need not exist. */
static int find_named(const char *text, struct mapped *ret)
{
	char name[DM_NAME_LEN], path[PATH_MAX];
	bool is_path = strchr(text, '/');
	dev_t number;
	int err = 0;

	*ret = (struct mapped){ 0 };
	snprintf(path, sizeof(path), is_path ? "%s" : "/dev/%s", text);
	if (is_path && disk_number(path, &number))
		err = find_on(number, ret);
	if (!err && !ret->exists && name_for(text, name, sizeof(name)))
		err = cache_mapped_find(name, ret);
	if (!err && !ret->is_ours && disk_number(path, &number))
		err = find_on(number, ret);
	return err;
}

/* ---- attach ---- */

/* 0, or an exit status after saying what is wrong. */
static int describe_disk(const char *path, struct mapped *m)
{
	_close_ int fd = -1;
	int read_only;
	__u64 bytes;

	*m = (struct mapped){ 0 };
	if (access(path, F_OK))
		return log_error(EXIT_FAILURE, "cannot attach %s: %m", path);
	if (!disk_number(path, &m->disk))
		return log_error(EXIT_FAILURE, "cannot attach %s: it is not a block device", path);
	if (!name_for(path, m->name, sizeof(m->name)))
		return log_error(EXIT_FAILURE, "cannot attach %s: its name is too long; attach it by a shorter path", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) || ioctl(fd, BLKROGET, &read_only))
		return log_error(EXIT_FAILURE, "cannot attach %s: %s", path, reason(-errno));
	if (!bytes)
		return log_error(EXIT_FAILURE, "cannot attach %s: it has no medium", path);
	m->sectors = bytes / 512;
	m->is_read_only = read_only;
	return 0;
}

/* 0, or an exit status after saying why @wanted cannot be made. */
static int refuse(const char *path, const struct mapped *wanted)
{
	char text[TEXT_MAX];
	struct mapped there;
	int err = cache_mapped_find(wanted->name, &there);

	if (err)
		return log_error(EXIT_FAILURE, "cannot attach %s: %s", path, reason(err));
	if (there.exists)
		return log_error(EXIT_FAILURE, "cannot attach %s: /dev/mapper/%s exists and is another disk's", path,
				 there.name);
	if (cache_holder_find(wanted->disk, text, sizeof(text)))
		return log_error(EXIT_FAILURE, "cannot attach %s: %s", path, text);
	if (cache_holder_has_partitions(wanted->disk))
		return log_error(EXIT_FAILURE,
				 "cannot attach %s: it has partitions; attach one of them, or wipe it (wipefs -a %s)", path,
				 path);
	return 0;
}

static int failed(const char *path, int err, const char *step)
{
	const char *why = reason(err);

	if (!cache_mapped_has_target(MAPPED_TARGET))
		why = "the kernel module nestor is not loaded; load it (modprobe nestor)";
	else if (err == -EBUSY)
		why = "another program or mount namespace uses it; stop that first";
	else if (err == -EFBIG)
		why = "the disk is larger than 4 PiB, or its sectors are larger than 4 KiB";
	else if (err == -ENOSPC)
		why = "256 disks are attached already; detach one first";
	else if (err == -EOPNOTSUPP)
		why = "zoned disks cannot be cached";
	return log_error(EXIT_FAILURE, "cannot attach %s: cannot %s: %s", path, step, why);
}

int cache_attach(const char *path)
{
	struct mapped wanted, there;
	const char *step;
	int err = describe_disk(path, &wanted);

	if (err)
		return err;
	err = find_on(wanted.disk, &there);
	if (err)
		return log_error(EXIT_FAILURE, "cannot attach %s: %s", path, reason(err));
	if (there.number == wanted.disk)
		return log_error(EXIT_FAILURE, "cannot attach %s: it is a device of the cache itself", path);
	if (there.exists && !strcmp(there.target, MAPPED_TARGET))
		return log_error(EXIT_FAILURE, "cannot attach %s: it is attached already, as /dev/mapper/%s", path, there.name);
	if (there.exists) {
		there.sectors = wanted.sectors;
		err = cache_mapped_replace(&there, MAPPED_TARGET, &step);
	} else {
		there = wanted;
		if (refuse(path, &wanted))
			return EXIT_FAILURE;
		err = cache_mapped_create(&wanted, &step);
	}
	if (err)
		return failed(path, err, step);
	printf("/dev/mapper/%s\n", there.name);
	return EXIT_SUCCESS;
}

/* ---- detach ---- */

int cache_detach(const char *name)
{
	const char *step = "remove it";
	struct mapped m;
	int err = find_named(name, &m);

	if (err)
		return log_error(EXIT_FAILURE, "cannot detach %s: %s", name, reason(err));
	if (!m.is_ours)
		return log_error(EXIT_FAILURE, "cannot detach %s: it is not attached; see nestorctl cache list", name);
	if (m.is_open && strcmp(m.target, MAPPED_TARGET) != 0)
		return log_error(EXIT_FAILURE, "cannot detach %s: /dev/mapper/%s is detached already, and in use", name,
				 m.name);
	err = m.is_open ? cache_mapped_replace(&m, MAPPED_PLAIN, &step) : cache_mapped_remove(m.name);
	if (err)
		return log_error(EXIT_FAILURE, "cannot detach %s: cannot %s: %s", name, step, reason(err));
	if (m.is_open)
		printf("/dev/mapper/%s is in use: it goes on without the cache\n", m.name);
	else
		printf("/dev/mapper/%s is removed\n", m.name);
	return EXIT_SUCCESS;
}

/* ---- list ---- */

static bool append(const struct mapped *m, void *list)
{
	json_t *one = json_pack("{s:o, s:o, s:I, s:b, s:b}", "device", json_sprintf("/dev/mapper/%s", m->name), "disk",
				json_sprintf("%u:%u", major(m->disk), minor(m->disk)), "bytes", (json_int_t)m->sectors * 512,
				"cached", !strcmp(m->target, MAPPED_TARGET), "in_use", m->is_open);

	json_array_append_new(list, one);
	return false;
}

json_t *cache_list(void)
{
	json_t *list = json_array();
	int err = cache_mapped_for_each(append, list);

	if (!err)
		return list;
	log_error(0, "cannot list: %s", reason(err));
	json_decref(list);
	return NULL;
}
