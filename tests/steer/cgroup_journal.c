// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 20, lane: free
 * The file that remembers what limits replaced: it is read as it was written, also if the agent died as it wrote the
 * last line; and a value that could not be put back stays in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/steer/cgroup_file.h"

#include "agent/steer/cgroup_values.h"
#include "tests/harness/tap.h"

#define MOUNT "/sys/fs/cgroup"

static const struct disk disk = { .name = "vda", .major = 254, .minor = 16, .seq = 7 };

static void begin(struct cgroup_values *set, int dir)
{
	*set = (struct cgroup_values){ .mount = MOUNT, .run_dir = dir };
	TAILQ_INIT(&set->list);
}

static int remember(struct cgroup_values *set, const char *path, const char *former)
{
	struct cgroup_value *s =
		cgroup_journal_add(set, &(struct cgroup_value_id){ .file = SETTING_MAX, .path = path, .disk = &disk });

	if (!s)
		return -1;
	s->inode = 42;
	snprintf(s->former, sizeof(s->former), "%s", former);
	snprintf(s->now, sizeof(s->now), "rbps=1000 wbps=max riops=max wiops=max");
	return cgroup_journal_append(set, s);
}

static const char *former_of(const struct cgroup_values *set, const char *path)
{
	const struct cgroup_value *s =
		cgroup_journal_find(set, &(struct cgroup_value_id){ .file = SETTING_MAX, .path = path, .disk = &disk }, false);

	return s ? s->former : "none";
}

static unsigned int count(const struct cgroup_values *set)
{
	const struct cgroup_value *s;
	unsigned int nr = 0;

	TAILQ_FOREACH (s, &set->list, entry)
		nr++;
	return nr;
}

/* What another agent finds in @dir. */
static void test_read(int dir, unsigned int nr, const char *path, const char *former, const char *text)
{
	struct cgroup_values set;

	begin(&set, dir);
	ok(cgroup_journal_load(&set) == 0 && count(&set) == nr && !strcmp(former_of(&set, path), former), "%s", text);
	cgroup_values_close(&set);
}

static void test_file(int dir, const char *file)
{
	struct cgroup_values set;
	off_t size;
	int fd;

	begin(&set, dir);
	ok(!remember(&set, "/a", "rbps=5") && !remember(&set, "/b", "rbps=6"), "cgroup journal: two settings are written");
	cgroup_values_close(&set);
	test_read(dir, 2, "/b", "rbps=6", "cgroup journal: two settings are read");

	fd = open(file, O_RDWR | O_CLOEXEC);
	size = lseek(fd, 0, SEEK_END);
	ok(fd >= 0 && !ftruncate(fd, size - 9), "(the journal's last line is cut)");
	close(fd);
	test_read(dir, 1, "/a", "rbps=5", "cgroup journal: settings before a cut last line are read");

	begin(&set, dir);
	ok(!cgroup_journal_load(&set) && !remember(&set, "/c", "rbps=7"),
	   "cgroup journal: a setting is written after a cut last line");
	cgroup_values_close(&set);
	test_read(dir, 2, "/c", "rbps=7", "cgroup journal: a setting written after a cut last line is read");
}

/* ---- what cannot be put back ---- */

static void put_text(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static int set_controller(struct cgroup_values *set, const char *path)
{
	struct cgroup_value *s = cgroup_journal_add(set, &(struct cgroup_value_id){ .file = SETTING_CONTROLLER, .path = path });

	if (!s)
		return -1;
	s->inode = cgroup_file_inode(set->mount, path);
	snprintf(s->former, sizeof(s->former), "-io");
	snprintf(s->now, sizeof(s->now), "+io");
	return cgroup_journal_append(set, s);
}

/* A pass of a new agent that wants nothing: so many settings are left in its memory, and for the next one. */
static void test_pass(const char *mount, int dir, unsigned int left, const char *text)
{
	struct cgroup_values set;

	begin(&set, dir);
	snprintf(set.mount, sizeof(set.mount), "%s", mount);
	ok(!cgroup_journal_load(&set), "cgroup journal: %s: settings are read", text);
	cgroup_values_drop_all(&set);
	ok(count(&set) == left, "cgroup journal: %s: %u settings are kept, %u expected", text, count(&set), left);
	ok((faccessat(dir, SETTINGS_FILE, F_OK, 0) == 0) == (left > 0),
	   "cgroup journal: %s: the file exists exactly if a setting is kept", text);
	cgroup_values_close(&set);
}

/* @mount is no cgroup file system: libcgroup cannot write there. */
static void test_stuck(const char *mount, int dir)
{
	char outer[96], inner[128], file[128], inner_file[160];
	struct cgroup_values set;

	snprintf(outer, sizeof(outer), "%s/nestor-outer", mount);
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", outer);
	snprintf(inner_file, sizeof(inner_file), "%s/cgroup.subtree_control", inner);
	ok(!mkdir(outer, 0700) && !mkdir(inner, 0700), "(two directories are made)");
	put_text(file, "io memory\n");
	put_text(inner_file, "io\n");
	begin(&set, dir);
	snprintf(set.mount, sizeof(set.mount), "%s", mount);
	ok(!set_controller(&set, "/nestor-outer") && !set_controller(&set, "/nestor-outer/inner"),
	   "cgroup journal: a setting and its parent's are written");
	cgroup_values_drop_all(&set);
	ok(count(&set) == 2 && set.counts[SETTING_RESTORE][SETTING_FAILED] == 1,
	   "cgroup journal: a setting that cannot be restored is kept, with its parent's controller");
	cgroup_values_drop_all(&set);
	ok(count(&set) == 2 && set.counts[SETTING_RESTORE][SETTING_FAILED] == 2,
	   "cgroup journal: the next pass tries again to restore a kept setting");
	cgroup_values_close(&set);
	test_pass(mount, dir, 2, "an agent after a failed restore");

	put_text(inner_file, "\n");
	test_pass(mount, dir, 1, "an agent after the inner setting is as before");
	unlink(inner_file);
	rmdir(inner);
	unlink(file);
	rmdir(outer);
	test_pass(mount, dir, 0, "an agent after the cgroup is removed");
}

int main(void)
{
	char dir[] = "/tmp/nestor-test.XXXXXX", file[64];
	int fd;

	if (!mkdtemp(dir))
		return 1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(file, sizeof(file), "%s/" SETTINGS_FILE, dir);
	test_file(fd, file);
	unlink(file);
	test_stuck(dir, fd);
	close(fd);
	rmdir(dir);
	return done_testing();
}
