// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/kernel.h"
#include "agent/memstat.h"
#include "agent/util.h"
#include "bpf/owner.h"

#define PAGE_BYTES 4096

/*
 * memory.stat of cgroup v2 has sums with all cgroups below; that of v1 has the cgroup's own figures, in which
 * "file" is called "cache", and sums, whose names begin with total_.
 */
struct stat_file {
	const char *file, *shmem, *swapcached; /* bytes */
	const char *refaults;
};

static const struct stat_file v2_sums = { "file", "shmem", "swapcached", "workingset_refault_file" };
static const struct stat_file v1_own = { "cache", "shmem", "swapcached", "workingset_refault_file" };
static const struct stat_file v1_sums = { "total_cache", "total_shmem", "total_swapcached", "total_workingset_refault_file" };

static __u64 minus(__u64 a, __u64 b)
{
	return a > b ? a - b : 0;
}

/* Memory of tmpfs and of the swap cache counts as the file system's, too: out it goes. */
static int read_stat(int dir_fd, const struct stat_file *names, struct memstat *ret)
{
	unsigned long long value, file = 0, other = 0;
	_close_ int fd = openat(dir_fd, "memory.stat", O_RDONLY | O_CLOEXEC);
	_fclose_ FILE *f = NULL;
	char name[64];

	*ret = (struct memstat){};
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "re");
	if (!f)
		return -errno;
	fd = -1; /* f's from now on */
	while (fscanf(f, "%63s %llu", name, &value) == 2) {
		if (!strcmp(name, names->file))
			file = value;
		else if (!strcmp(name, names->shmem) || !strcmp(name, names->swapcached))
			other += value;
		else if (!strcmp(name, names->refaults))
			ret->refaults = value;
	}
	ret->pages = minus(file, other) / PAGE_BYTES;
	return 0;
}

/* Takes what the cgroups below have out of @sum. */
static void subtract_children(int dir_fd, struct memstat *sum)
{
	int fd = dup(dir_fd);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		_close_ int child = -1;
		struct memstat stat;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && !read_stat(child, &v2_sums, &stat))
			sum->pages = minus(sum->pages, stat.pages);
	}
	if (dir)
		closedir(dir);
}

static bool has_children(int dir_fd)
{
	struct stat st;

	return !fstat(dir_fd, &st) && st.st_nlink > 2; /* "." and its entry in the parent, and ".." of each child */
}

/* v2: a cgroup with others below has refaults of its own only where the kernel could not tell them apart. */
static int read_own(int dir_fd, bool v1, struct memstat *ret)
{
	int err = read_stat(dir_fd, v1 ? &v1_own : &v2_sums, ret);

	if (err || v1 || !has_children(dir_fd))
		return err;
	subtract_children(dir_fd, ret);
	ret->refaults = 0;
	return 0;
}

int memstat_read(const struct kernel *k, const struct owner *o, struct memstat *ret)
{
	const struct hierarchy *h = kernel_task_hierarchy(k);
	_close_ int fd = -1;
	char path[PATH_MAX];
	int err;

	if (!h || o->hierarchy != h->id)
		return -ENOTCONN;
	err = kernel_cgroup_path(k, o->hierarchy, o->id, path, sizeof(path));
	if (err)
		return err;
	fd = openat(h->mount_fd, path[1] ? path + 1 : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : read_own(fd, k->memory_v1, ret);
}

int memstat_read_machine(const struct kernel *k, __u64 *ret_pages)
{
	const struct hierarchy *h = kernel_task_hierarchy(k);
	struct memstat stat;
	int err = h ? read_stat(h->mount_fd, k->memory_v1 ? &v1_sums : &v2_sums, &stat) : -ENOTCONN;

	if (!err)
		*ret_pages = stat.pages;
	return err;
}
