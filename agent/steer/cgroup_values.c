// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/steer/cgroup_file.h"
#include "agent/lib/log.h"
#include "agent/steer/cgroup_values.h"
#include "agent/steer/cgroup_journal.h"
#include "agent/lib/util.h"

/* ---- one setting ---- */

static const struct disk *disk_of(const struct setting *s)
{
	return s->disk.name[0] ? &s->disk : NULL;
}

static struct setting_id id_of(const struct setting *s)
{
	return (struct setting_id){ .file = s->file, .path = s->path, .disk = disk_of(s) };
}

static const char *where(const struct setting_id *id)
{
	static char text[PATH_MAX + 128];

	snprintf(text, sizeof(text), "%s of %s%s%s", cgfile_name(id->file), id->path, id->disk ? " for " : "",
		 id->disk ? id->disk->name : "");
	return text;
}

static void forget(struct settings *set, struct setting *s)
{
	TAILQ_REMOVE(&set->list, s, entry);
	free(s->path);
	free(s);
}

/* The cgroup or the disk may be another one by now, or gone: then there is nothing left of the setting. */
static bool is_there(const struct settings *set, const struct setting *s)
{
	struct disk disk;

	if (cgfile_inode(set->mount, s->path) != s->inode)
		return false;
	return !disk_of(s) || (!disk_find(s->disk.name, &disk) && disk.seq == s->disk.seq);
}

static bool matches(const struct setting *s, const struct setting_id *id)
{
	return s->file == id->file && !strcmp(s->path, id->path) && !strcmp(s->disk.name, id->disk ? id->disk->name : "");
}

static struct setting *find(const struct settings *set, const struct setting_id *id, bool dry)
{
	struct setting *s;

	TAILQ_FOREACH (s, &set->list, entry)
		if (s->dry == dry && matches(s, id))
			return s;
	return NULL;
}

struct setting *settings_add(struct settings *set, const struct setting_id *id)
{
	struct setting *s = calloc(1, sizeof(*s));

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

struct setting *settings_find(const struct settings *set, const struct setting_id *id)
{
	return find(set, id, false);
}

/* ---- putting back ---- */

/* Disabling a controller takes the values of all children with it: not where somebody else's are among them. */
static bool is_needed(const struct settings *set, const struct setting *s)
{
	return s->file == SETTING_CONTROLLER && !strcmp(s->former, "-io") && cgfile_children_use_io(set->mount, s->path);
}

static bool is_below(const char *path, const char *parent)
{
	size_t len = strcmp(parent, "/") != 0 ? strlen(parent) : 0;

	return !strncmp(path, parent, len) && path[len] == '/' && path[len + 1];
}

/* Is a value below @s still to be put back? It needs the controller until then. */
static bool is_needed_by_ours(const struct settings *set, const struct setting *s)
{
	const struct setting *other;

	TAILQ_FOREACH (other, &set->list, entry)
		if (s->file == SETTING_CONTROLLER && !other->dry && is_below(other->path, s->path))
			return true;
	return false;
}

static int write_back(struct settings *set, struct setting *s)
{
	const struct setting_id id = id_of(s);
	int err = cgfile_write(set->mount, &id, s->former);

	set->counts[SETTING_RESTORE][err ? SETTING_FAILED : SETTING_DONE]++;
	if (err && !s->stuck)
		log_warning("cannot put back %s to %s, and will try again: %s", where(&id), s->former, strerror(-err));
	s->stuck = err != 0;
	return err;
}

/* 0: there is nothing left to put back. */
static int put_back(struct settings *set, struct setting *s)
{
	const struct setting_id id = id_of(s);
	char current[SETTING_VALUE_MAX];
	int err = cgfile_read(set->mount, &id, current);

	if (err) /* a controller that is off has no values */
		return err == -ENOENT ? 0 : err;
	if (!strcmp(current, s->former))
		return 0;
	if (strcmp(current, s->now) && strcmp(current, s->before)) {
		log_warning("%s was changed by somebody else and stays %s; before Nestor it was %s", where(&id), current,
			    s->former);
		return 0;
	}
	if (is_needed_by_ours(set, s))
		return -EBUSY;
	if (is_needed(set, s)) {
		log_info("the io controller stays enabled for the children of %s: they have values of somebody else's",
			 s->path);
		return 0;
	}
	return write_back(set, s);
}

/* What cannot be put back is kept: the next pass, or the next agent, tries again. */
static void drop(struct settings *set, struct setting *s)
{
	if (s->dry || !is_there(set, s) || !put_back(set, s) || !is_there(set, s))
		forget(set, s);
}

void settings_begin(struct settings *set)
{
	set->pass++;
	set->in_pass = true;
}

static bool is_wanted(const struct settings *set, const struct setting *s)
{
	return s->pass == set->pass;
}

/* Last set, first put back: values before the controller that they need, a child's controller before its parent's. */
void settings_end(struct settings *set)
{
	struct setting *s, *earlier;
	bool changed = false;

	set->in_pass = false;
	for (s = TAILQ_LAST(&set->list, setting_list); s; s = earlier) {
		earlier = TAILQ_PREV(s, setting_list, entry);
		if (is_wanted(set, s))
			continue;
		changed |= !s->dry;
		drop(set, s);
	}
	if (changed)
		settings_save(set);
}

bool settings_untag(struct settings *set, const void *tag)
{
	struct setting *s;
	bool found = false;

	TAILQ_FOREACH (s, &set->list, entry) {
		if (s->tag != tag)
			continue;
		s->tag = NULL;
		found = true;
	}
	return found;
}

void settings_drop(struct settings *set, const struct setting_id *id)
{
	struct setting *s = find(set, id, set->dry);

	if (!s)
		return;
	drop(set, s);
	if (!set->dry)
		settings_save(set);
}

void settings_drop_all(struct settings *set)
{
	settings_begin(set);
	settings_end(set);
}

/* ---- setting ---- */

static struct setting *find_live(struct settings *set, const struct setting_id *id)
{
	struct setting *s = find(set, id, set->dry);

	if (!s || is_there(set, s))
		return s;
	forget(set, s);
	return NULL;
}

static struct setting *remember_new(struct settings *set, const struct setting_id *id, const char *former)
{
	struct setting *s = settings_add(set, id);

	if (!s)
		return NULL;
	s->inode = cgfile_inode(set->mount, id->path);
	s->dry = set->dry;
	snprintf(s->former, sizeof(s->former), "%s", former);
	snprintf(s->now, sizeof(s->now), "%s", former);
	return s;
}

static int change(struct settings *set, struct setting *s, const char *value)
{
	const struct setting_id id = id_of(s);
	int err;

	memcpy(s->before, s->now, sizeof(s->before));
	snprintf(s->now, sizeof(s->now), "%s", value);
	if (s->dry) {
		set->counts[SETTING_SET][SETTING_MONITORED]++;
		return 0;
	}
	err = settings_append(set, s);
	if (!err)
		err = cgfile_write(set->mount, &id, value);
	set->counts[SETTING_SET][err ? SETTING_FAILED : SETTING_DONE]++;
	return err;
}

/* Where the controller is off there is nothing to read yet: what would be done is counted all the same. */
static int read_current(const struct settings *set, const struct setting_id *id, char ret_value[SETTING_VALUE_MAX])
{
	int err = cgfile_read(set->mount, id, ret_value);

	if (err != -ENOENT || !set->dry || !cgfile_inode(set->mount, id->path))
		return err;
	snprintf(ret_value, SETTING_VALUE_MAX, "%s", cgfile_usual(id->file));
	return 0;
}

int settings_want(struct settings *set, const struct setting_id *id, const char *value, const void *tag)
{
	struct setting *s = find_live(set, id);
	char current[SETTING_VALUE_MAX];
	int err;

	if (s && set->in_pass && s->pass == set->pass)
		return 0;
	if (s) {
		s->pass = set->pass;
		s->tag = tag;
	}
	err = read_current(set, id, current);
	if (err)
		return err;
	if (s && s->dry)
		return strcmp(s->now, value) ? change(set, s, value) : 0;
	if (!strcmp(current, value) && (!s || !strcmp(s->now, value)))
		return 0;
	if (s && strcmp(current, s->now) && strcmp(current, s->before) && strcmp(current, s->former))
		log_warning("%s was changed by somebody else to %s; policy has it be %s", where(id), current, value);
	if (!s) {
		s = remember_new(set, id, current);
		if (!s)
			return -ENOMEM;
		s->pass = set->pass;
		s->tag = tag;
	}
	return change(set, s, value);
}

int settings_former(const struct settings *set, const struct setting_id *id, char ret_value[SETTING_VALUE_MAX])
{
	const struct setting *s = find(set, id, false);

	if (s && is_there(set, s)) {
		memcpy(ret_value, s->former, sizeof(s->former));
		return 0;
	}
	return read_current(set, id, ret_value);
}

/* ---- life ---- */

int settings_open(struct settings *set, const char *mount, int run_dir)
{
	*set = (struct settings){ .run_dir = run_dir };
	TAILQ_INIT(&set->list);
	snprintf(set->mount, sizeof(set->mount), "%s", mount);
	return cgfile_init() ?: settings_load(set);
}

void settings_close(struct settings *set)
{
	struct setting *s;

	while ((s = TAILQ_FIRST(&set->list)))
		forget(set, s);
}

int settings_undo(int run_dir, unsigned int *ret_restored)
{
	struct settings set;
	int err;

	*ret_restored = 0;
	if (faccessat(run_dir, SETTINGS_FILE, F_OK, 0))
		return 0;
	err = settings_open(&set, "", run_dir);
	if (!err)
		settings_drop_all(&set);
	*ret_restored = (unsigned int)set.counts[SETTING_RESTORE][SETTING_DONE];
	if (!err && set.counts[SETTING_RESTORE][SETTING_FAILED])
		err = -EIO;
	settings_close(&set);
	return err;
}
