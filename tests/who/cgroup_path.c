// SPDX-License-Identifier: GPL-2.0
/* budget: 15, lane: free */
/* The path of a cgroup that is being removed: its own, or none; never one that the kernel marked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/kernel.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define LIVES 20000

static char cgroup[PATH_MAX];
static _Atomic __u64 current_id;
static atomic_bool over;

/* A cgroup's id is its directory's inode number. */
static void *live_and_die(void *arg)
{
	(void)arg;
	for (int i = 0; i < LIVES; i++) {
		struct stat st;

		if (mkdir(cgroup, 0755) || stat(cgroup, &st))
			break;
		current_id = st.st_ino;
		while (rmdir(cgroup) && errno == EBUSY)
			;
	}
	over = true;
	return NULL;
}

/* tests/run knows by it whose a cgroup is that is left behind. */
static const char *id(void)
{
	return getenv("NESTOR_TEST_ID") ?: "alone";
}

static void test_name(const struct kernel *k)
{
	char path[PATH_MAX] = "", own[64];
	struct stat st;

	snprintf(own, sizeof(own), "/nestor-test-%s (deleted)", id());
	snprintf(cgroup, sizeof(cgroup), "%s%s", kernel_task_hierarchy(k)->mount, own);
	if (!ok(mkdir(cgroup, 0755) == 0 && stat(cgroup, &st) == 0,
		"(a cgroup's name ends in the kernel's mark of a removed one)"))
		return;
	is_u64(0, (__u64)-kernel_cgroup_path(k, k->task_hierarchy, st.st_ino, path, sizeof(path)),
	       "cgroup path: a cgroup whose name ends in (deleted) has a path");
	is_str(own, path, "cgroup path: a cgroup whose name ends in (deleted) has its own path");
	ok(rmdir(cgroup) == 0, "(a cgroup whose name ends in the kernel's mark is removed)");
	ok(kernel_cgroup_path(k, k->task_hierarchy, st.st_ino, path, sizeof(path)) < 0,
	   "cgroup path: a removed cgroup has no path");
}

static void test_dying(const struct kernel *k)
{
	char path[PATH_MAX], own[64];
	unsigned int found = 0, gone = 0, wrong = 0;
	pthread_t thread;

	snprintf(own, sizeof(own), "/nestor-test-path-%s", id());
	snprintf(cgroup, sizeof(cgroup), "%s%s", kernel_task_hierarchy(k)->mount, own);
	if (!ok(mkdir(cgroup, 0755) == 0, "(a cgroup is made)") || !ok(rmdir(cgroup) == 0, "(a cgroup is removed)"))
		return;
	if (!ok(pthread_create(&thread, NULL, live_and_die, NULL) == 0, "(a thread makes and removes a cgroup in a loop)"))
		return;
	while (!over) {
		int err = kernel_cgroup_path(k, k->task_hierarchy, current_id, path, sizeof(path));

		gone += err == -ESTALE || err == -ENOENT;
		found += !err;
		if (!err && strcmp(path, own) != 0 && wrong++ < 5)
			printf("# %s\n", path);
	}
	pthread_join(thread, NULL);
	ok(found > LIVES / 100, "cgroup path: a cgroup that comes and goes is found %u times, and missing %u times", found,
	   gone);
	is_u64(0, wrong, "cgroup path: a cgroup that comes and goes is found under no other path");
}

int main(void)
{
	struct kernel k = {};

	if (ok(kernel_probe(&k) == 0, "(the kernel has what the agent needs)")) {
		test_name(&k);
		test_dying(&k);
	}
	kernel_close(&k);
	return done_testing();
}
