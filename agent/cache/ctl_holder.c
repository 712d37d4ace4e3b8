// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/cache/ctl_holder.h"
#include "agent/lib/util.h"

/* A block device as sysfs has it. */
struct device {
	char dir[PATH_MAX];
	const char *name; /* the end of dir */
	dev_t number;
};

static bool read_line(const char *dir, const char *file, char *line, size_t size)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (util_read_file_at(AT_FDCWD, path, line, size) <= 0)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static bool device_at(const char *path, struct device *ret)
{
	unsigned int major, minor;
	char line[32];

	if (!realpath(path, ret->dir) || !read_line(ret->dir, "dev", line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2)
		return false;
	ret->name = strrchr(ret->dir, '/') + 1;
	ret->number = makedev(major, minor);
	return true;
}

static bool device_find(dev_t number, struct device *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(number), minor(number));
	return device_at(path, ret);
}

static bool is_partition(const struct device *d)
{
	char line[16];

	return read_line(d->dir, "partition", line, sizeof(line));
}

/* Is the file @path the block device? Files of other file systems are not looked at: their server may be away. */
static bool is_node(const char *path, const struct device *d)
{
	struct stat st;

	return !strncmp(path, "/dev/", 5) && !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == d->number;
}

/* ---- users of one device ---- */

static bool is_below_another(const struct device *d, char *text, size_t size)
{
	char path[PATH_MAX + 16], other[PATH_MAX + 300], name[128];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/holders", d->dir);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		found = entry->d_name[0] != '.';
		if (!found)
			continue;
		snprintf(other, sizeof(other), "%s/%s", path, entry->d_name);
		if (read_line(other, "dm/name", name, sizeof(name)))
			snprintf(text, size, "/dev/%s is below /dev/mapper/%s; attach that one, or remove it first", d->name,
				 name);
		else
			snprintf(text, size, "/dev/%s is below /dev/%s; attach that one, or stop it first", d->name,
				 entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_mounted(const struct device *d, char *text, size_t size)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent m;
	char line[2 * PATH_MAX];
	bool found = false;

	while (f && !found && getmntent_r(f, &m, line, sizeof(line))) {
		found = is_node(m.mnt_fsname, d);
		if (found)
			snprintf(text, size, "/dev/%s is mounted on %s; unmount it first", d->name, m.mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

static bool is_swap(const struct device *d, char *text, size_t size)
{
	_fclose_ FILE *f = fopen("/proc/swaps", "re");
	char line[PATH_MAX + 128], path[PATH_MAX];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%4095s", path) == 1 && is_node(path, d);
	if (found)
		snprintf(text, size, "/dev/%s is swap space; swapoff it first", d->name);
	return found;
}

static bool is_used(const struct device *d, char *text, size_t size)
{
	return is_below_another(d, text, size) || is_mounted(d, text, size) || is_swap(d, text, size);
}

/* ---- the disk around it ---- */

/* The next partition of @d that @dir lists. */
static bool next_partition(DIR *dir, const struct device *d, struct device *ret)
{
	char path[PATH_MAX + 300];
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", d->dir, entry->d_name);
		if (entry->d_name[0] != '.' && device_at(path, ret) && is_partition(ret))
			return true;
	}
	return false;
}

bool cache_holder_find(dev_t disk, char *text, size_t size)
{
	struct device d, part;
	bool found = false;
	DIR *dir;

	if (!device_find(disk, &d))
		return false;
	if (is_used(&d, text, size))
		return true;
	if (is_partition(&d)) {
		struct device whole;
		char path[PATH_MAX + 4];

		snprintf(path, sizeof(path), "%s/..", d.dir);
		return device_at(path, &whole) && is_used(&whole, text, size);
	}
	dir = opendir(d.dir);
	while (!found && next_partition(dir, &d, &part))
		found = is_used(&part, text, size);
	if (dir)
		closedir(dir);
	return found;
}

bool cache_holder_has_partitions(dev_t disk)
{
	struct device d, part;
	bool found;
	DIR *dir;

	if (!device_find(disk, &d))
		return false;
	dir = opendir(d.dir);
	found = next_partition(dir, &d, &part);
	if (dir)
		closedir(dir);
	return found;
}
