// SPDX-License-Identifier: GPL-2.0
/*
 * A line of JSON each: first the mount of cgroup v2, then settings in the order they were made. A later line for the
 * same setting replaces the earlier one. The run directory is root's own and a tmpfs, so there is no fsync. The last
 * line may be cut: a write ends in the middle when the agent is killed, or where there is no space.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/steer/cgroup_file.h"
#include "agent/lib/log.h"
#include "agent/steer/cgroup_journal.h"
#include "agent/lib/util.h"

#define NEW_FILE SETTINGS_FILE ".new"

static const struct disk *known_disk(const struct disk *disk)
{
	return disk->name[0] ? disk : NULL;
}

/* ---- the list ---- */

static bool matches(const struct cgroup_value *s, const struct cgroup_value_id *id)
{
	return s->file == id->file && !strcmp(s->path, id->path) && !strcmp(s->disk.name, id->disk ? id->disk->name : "");
}

struct cgroup_value *cgroup_journal_find(const struct cgroup_values *set, const struct cgroup_value_id *id, bool dry)
{
	struct cgroup_value *s;

	TAILQ_FOREACH (s, &set->list, entry)
		if (s->dry == dry && matches(s, id))
			return s;
	return NULL;
}

struct cgroup_value *cgroup_journal_add(struct cgroup_values *set, const struct cgroup_value_id *id)
{
	struct cgroup_value *s = calloc(1, sizeof(*s));

	if (s)
		s->path = strdup(id->path);
	if (!s || !s->path) {
		free(s);
		return NULL;
	}
	s->file = id->file;
	if (id->disk)
		s->disk = *id->disk;
	TAILQ_INSERT_TAIL(&set->list, s, entry);
	return s;
}

/* ---- reading ---- */

static int read_setting(struct cgroup_values *set, json_t *line)
{
	const char *path, *file, *device, *former, *now, *before;
	json_int_t inode, seq;
	struct cgroup_value_id id;
	struct disk disk = {};
	struct cgroup_value *s;
	int major, minor;

	if (json_unpack(line, "{s:s, s:I, s:s, s:s, s:i, s:i, s:I, s:s, s:s, s:s}", "path", &path, "inode", &inode, "file",
			&file, "device", &device, "major", &major, "minor", &minor, "diskseq", &seq, "former", &former, "now",
			&now, "before", &before) ||
	    cgroup_file_find(file, &id.file))
		return -EINVAL;
	snprintf(disk.name, sizeof(disk.name), "%s", device);
	disk.major = (unsigned int)major;
	disk.minor = (unsigned int)minor;
	disk.seq = (__u64)seq;
	id.path = path;
	id.disk = known_disk(&disk);
	s = cgroup_journal_find(set, &id, false) ?: cgroup_journal_add(set, &id);
	if (!s)
		return -ENOMEM;
	s->inode = (__u64)inode;
	s->disk = disk;
	snprintf(s->former, sizeof(s->former), "%s", former);
	snprintf(s->now, sizeof(s->now), "%s", now);
	snprintf(s->before, sizeof(s->before), "%s", before);
	return 0;
}

/* Only the mount that it was written for can be meant: without it, paths say nothing. */
static int read_mount(struct cgroup_values *set, json_t *line)
{
	const char *mount;

	if (json_unpack(line, "{s:s}", "mount", &mount))
		return -EINVAL;
	if (set->mount[0] && strcmp(set->mount, mount))
		return -ENOTCONN;
	snprintf(set->mount, sizeof(set->mount), "%s", mount);
	return 0;
}

static int read_line(struct cgroup_values *set, const char *text)
{
	json_t *line = json_loads(text, 0, NULL);
	int err = -EINVAL;

	if (line)
		err = set->lines++ ? read_setting(set, line) : read_mount(set, line);
	json_decref(line);
	return err;
}

int cgroup_journal_load(struct cgroup_values *set)
{
	_close_ int fd = openat(set->run_dir, SETTINGS_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_free_ char *line = NULL;
	_fclose_ FILE *f = NULL;
	size_t size = 0;
	ssize_t len;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : log_error(-errno, "cannot read %s: %m", SETTINGS_FILE);
	f = fdopen(fd, "r");
	if (!f)
		return log_error(-errno, "cannot read %s: %m", SETTINGS_FILE);
	fd = -1;
	while (!err && (len = getline(&line, &size, f)) > 0) {
		if (line[len - 1] != '\n') { /* the agent died as it wrote this; what it was about to set is not set */
			set->lines = 0;
			break;
		}
		err = read_line(set, line);
	}
	if (!err && ferror(f))
		return log_error(-EIO, "cannot read all of %s", SETTINGS_FILE);
	return err ? log_error(err, "%s, line %u, does not say what was set: %s", SETTINGS_FILE, set->lines, strerror(-err))
		   : 0;
}

/* ---- writing ---- */

static int write_line(int fd, json_t *line)
{
	_free_ char *text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	size_t len = text ? strlen(text) : 0;
	ssize_t n;

	json_decref(line);
	if (!text)
		return -ENOMEM;
	text[len] = '\n'; /* for the NUL: the next line begins after it */
	n = write(fd, text, len + 1);
	if (n < 0)
		return -errno;
	return (size_t)n == len + 1 ? 0 : -ENOSPC;
}

static json_t *setting_to_json(const struct cgroup_value *s)
{
	return json_pack("{s:s, s:I, s:s, s:s, s:i, s:i, s:I, s:s, s:s, s:s}", "path", s->path, "inode", (json_int_t)s->inode,
			 "file", cgroup_file_name(s->file), "device", s->disk.name, "major", (int)s->disk.major, "minor",
			 (int)s->disk.minor, "diskseq", (json_int_t)s->disk.seq, "former", s->former, "now", s->now, "before",
			 s->before);
}

static int write_all(struct cgroup_values *set, int fd)
{
	struct cgroup_value *s;
	int err = write_line(fd, json_pack("{s:s}", "mount", set->mount));

	set->lines = 1;
	TAILQ_FOREACH (s, &set->list, entry) {
		if (s->dry || err)
			continue;
		err = write_line(fd, setting_to_json(s));
		set->lines++;
	}
	return err;
}

static unsigned int nr_real(const struct cgroup_values *set)
{
	const struct cgroup_value *s;
	unsigned int nr = 0;

	TAILQ_FOREACH (s, &set->list, entry)
		nr += !s->dry;
	return nr;
}

static int save(struct cgroup_values *set)
{
	_close_ int fd = -1;
	int err;

	if (!nr_real(set)) {
		set->lines = 0;
		return unlinkat(set->run_dir, SETTINGS_FILE, 0) && errno != ENOENT ? -errno : 0;
	}
	fd = openat(set->run_dir, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(set, fd);
	if (!err && renameat(set->run_dir, NEW_FILE, set->run_dir, SETTINGS_FILE))
		err = -errno;
	if (err)
		unlinkat(set->run_dir, NEW_FILE, 0); /* it takes space that may be what is missing */
	return err;
}

void cgroup_journal_save(struct cgroup_values *set)
{
	int err = save(set);

	set->unsaved = err != 0;
	if (err)
		log_error(err, "cannot write %s: %s", SETTINGS_FILE, strerror(-err));
}

int cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s)
{
	_close_ int fd = -1;
	int err;

	if (!set->lines || set->lines > 4 * nr_real(set) + 64) {
		err = save(set);
	} else {
		fd = openat(set->run_dir, SETTINGS_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
		err = fd < 0 ? -errno : write_line(fd, setting_to_json(s));
		set->lines++;
	}
	if (!err)
		return 0;
	set->lines = 0; /* a part of the line may be there: all is written anew next time */
	return log_error(err, "cannot write %s: %s", SETTINGS_FILE, strerror(-err));
}
