// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/gpufn/workdir.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define PREFIX "broker."

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path) && errno != ENOENT;
}

void gpufn_remove_dir(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Locked, or somebody else's: not left over. */
static bool is_left_over(const char *path)
{
	_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && st.st_uid == geteuid() && !flock(fd, LOCK_EX | LOCK_NB);
}

static void remove_left_overs(const char *parent)
{
	DIR *dir = opendir(parent);
	char path[PATH_MAX];

	for (const struct dirent *e; dir && (e = readdir(dir));) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", parent, e->d_name);
		if (is_left_over(path))
			gpufn_remove_dir(path);
	}
	if (dir)
		closedir(dir);
}

int gpufn_make_dir(const char *parent, char *ret, size_t size)
{
	int fd;

	remove_left_overs(parent);
	snprintf(ret, size, "%s/" PREFIX "XXXXXX", parent);
	if (!mkdtemp(ret))
		return log_error(-errno, "cannot make a directory in %s: %m", parent);
	fd = open(ret, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* for good: it is the lock */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return log_error(-errno, "cannot lock %s: %m", ret);
	return 0;
}

void gpufn_pass_environment(char **ret)
{
	static const char *const names[GPUFN_PASSED_MAX] = { "JOURNAL_STREAM", "POCL_DEVICES", "POCL_MAX_PTHREAD_COUNT",
							     "CUDA_VISIBLE_DEVICES", "NESTOR_GPUFN_SPEEDS" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && asprintf(ret, "%s=%s", names[i], value) > 0)
			ret++;
	}
	*ret = NULL;
}
