// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 20
 * The file that remembers what limits replaced: it is read as it was written, also if the agent died as it wrote the
 * last line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/settingsfile.h"
#include "tests/tap.h"

#define MOUNT "/sys/fs/cgroup"

static const struct disk disk = { .name = "vda", .major = 254, .minor = 16, .seq = 7 };

static void begin(struct settings *set, int dir)
{
	*set = (struct settings){ .mount = MOUNT, .run_dir = dir };
	TAILQ_INIT(&set->list);
}

static int remember(struct settings *set, const char *path, const char *former)
{
	struct setting *s = settings_add(set, &(struct setting_id){ .file = SETTING_MAX, .path = path, .disk = &disk });

	if (!s)
		return -1;
	s->inode = 42;
	snprintf(s->former, sizeof(s->former), "%s", former);
	snprintf(s->now, sizeof(s->now), "rbps=1000 wbps=max riops=max wiops=max");
	return settings_append(set, s);
}

static const char *former_of(const struct settings *set, const char *path)
{
	const struct setting *s = settings_find(set, &(struct setting_id){ .file = SETTING_MAX, .path = path, .disk = &disk });

	return s ? s->former : "none";
}

static unsigned int count(const struct settings *set)
{
	const struct setting *s;
	unsigned int nr = 0;

	TAILQ_FOREACH (s, &set->list, entry)
		nr++;
	return nr;
}

/* What another agent finds in @dir. */
static void test_read(int dir, unsigned int nr, const char *path, const char *former, const char *text)
{
	struct settings set;

	begin(&set, dir);
	ok(settings_load(&set) == 0 && count(&set) == nr && !strcmp(former_of(&set, path), former), "%s", text);
	settings_close(&set);
}

static void test_file(int dir, const char *file)
{
	struct settings set;
	off_t size;
	int fd;

	begin(&set, dir);
	ok(!remember(&set, "/a", "rbps=5") && !remember(&set, "/b", "rbps=6"), "two settings are remembered");
	settings_close(&set);
	test_read(dir, 2, "/b", "rbps=6", "and found");

	fd = open(file, O_RDWR | O_CLOEXEC);
	size = lseek(fd, 0, SEEK_END);
	ok(fd >= 0 && !ftruncate(fd, size - 9), "the last line is cut");
	close(fd);
	test_read(dir, 1, "/a", "rbps=5", "what was written before is found all the same");

	begin(&set, dir);
	ok(!settings_load(&set) && !remember(&set, "/c", "rbps=7"), "the next agent goes on");
	settings_close(&set);
	test_read(dir, 2, "/c", "rbps=7", "in a file that can be read");
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
	close(fd);
	rmdir(dir);
	return done_testing();
}
