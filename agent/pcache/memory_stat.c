// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/kernel.h"
#include "agent/pcache/memory_stat.h"
#include "agent/lib/util.h"
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

/* Is @line "name value"? */
static bool has_value(const char *line, const char *name, __u64 *ret)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ' ')
		return false;
	*ret = strtoull(line + len + 1, NULL, 10);
	return true;
}

/* Memory of tmpfs and of the swap cache counts as the file system's, too: out it goes. */
static int read_stat(int dir_fd, const struct stat_file *names, struct memory_stat *ret)
{
	__u64 file = 0, shmem = 0, swapcached = 0;
	char text[16384], *rest = text, *line;
	ssize_t len = util_read_file_at(dir_fd, "memory.stat", text, sizeof(text));

	*ret = (struct memory_stat){};
	if (len < 0)
		return (int)len;
	while ((line = strsep(&rest, "\n")))
		if (!has_value(line, names->file, &file) && !has_value(line, names->shmem, &shmem) &&
		    !has_value(line, names->swapcached, &swapcached))
			has_value(line, names->refaults, &ret->refaults);
	ret->pages = minus(file, shmem + swapcached) / PAGE_BYTES;
	return 0;
}

/* Takes what the cgroups below have out of @sum. */
static void subtract_children(int dir_fd, struct memory_stat *sum)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		_close_ int child = -1;
		struct memory_stat stat;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && !read_stat(child, &v2_sums, &stat))
			sum->pages = minus(sum->pages, stat.pages);
	}
	if (dir)
		closedir(dir);
}

/* v2: a cgroup with others below has refaults of its own only where the kernel could not tell them apart. */
static int read_own(int dir_fd, bool v1, bool has_children, struct memory_stat *ret)
{
	int err = read_stat(dir_fd, v1 ? &v1_own : &v2_sums, ret);

	if (err || v1 || !has_children)
		return err;
	subtract_children(dir_fd, ret);
	ret->refaults = 0;
	return 0;
}

int memory_stat_read(const struct kernel *k, const struct owner *o, struct memory_stat *ret)
{
	_close_ int fd = -1;
	struct stat st;

	if (o->hierarchy != k->task_hierarchy)
		return -ENOTCONN;
	fd = kernel_open_cgroup(k, o->hierarchy, o->id, &st);
	/* Links of a directory: "." and its entry in the parent, and ".." of each child. */
	return fd < 0 ? fd : read_own(fd, k->memory_v1, st.st_nlink > 2, ret);
}

int memory_stat_read_machine(const struct kernel *k, __u64 *ret_pages)
{
	const struct hierarchy *h = kernel_task_hierarchy(k);
	struct memory_stat stat;
	int err = h ? read_stat(h->mount_fd, k->memory_v1 ? &v1_sums : &v2_sums, &stat) : -ENOTCONN;

	if (!err)
		*ret_pages = stat.pages;
	return err;
}
