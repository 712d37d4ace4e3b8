// SPDX-License-Identifier: GPL-2.0
/*
 * churn DEVICE PARENT NAMES BIRTHS: so many containers are born, read 4 KiB of DEVICE directly, and die, four at a
 * time, with NAMES names that come again and again, below the cgroup PARENT. Each reads once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 4

static int die(const char *what)
{
	fprintf(stderr, "churn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void live(const char *cgroup, const char *device)
{
	char procs[PATH_MAX];
	void *block;
	int fd;

	if ((size_t)snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup) >= sizeof(procs))
		die("path");
	fd = open(procs, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(procs);
	fd = open(device, O_RDONLY | O_DIRECT);
	if (fd < 0 || posix_memalign(&block, 4096, 4096) || pread(fd, block, 4096, 0) != 4096)
		die(device);
	_exit(0);
}

static pid_t bear(const char *cgroup, const char *device)
{
	pid_t pid;

	if (mkdir(cgroup, 0755))
		die(cgroup);
	pid = fork();
	if (!pid)
		live(cgroup, device);
	return pid;
}

/* A cgroup stays busy for a moment after its last process is gone. */
static void bury(const char *cgroup, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		exit(1);
	while (rmdir(cgroup))
		if (errno != EBUSY)
			die(cgroup);
}

int main(int argc, char **argv)
{
	unsigned long names = argc == 5 ? strtoul(argv[3], NULL, 10) : 0, born = 0;
	unsigned long births = names ? strtoul(argv[4], NULL, 10) / AT_ONCE * AT_ONCE : 0;
	char cgroup[AT_ONCE][1024];
	pid_t pid[AT_ONCE];

	if (!births) {
		fprintf(stderr, "usage: churn DEVICE PARENT NAMES BIRTHS, %d or more\n", AT_ONCE);
		return 2;
	}
	while (born < births) {
		for (int i = 0; i < AT_ONCE; i++) {
			snprintf(cgroup[i], sizeof(cgroup[i]), "%s/c%lu", argv[2], born++ % names);
			pid[i] = bear(cgroup[i], argv[1]);
		}
		for (int i = 0; i < AT_ONCE; i++)
			bury(cgroup[i], pid[i]);
	}
	return 0;
}
