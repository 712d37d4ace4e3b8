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

static const struct disk *disk_of(const struct cgroup_value *s)
{
	return s->disk.name[0] ? &s->disk : NULL;
}

static struct cgroup_value_id id_of(const struct cgroup_value *s)
{
	return (struct cgroup_value_id){ .file = s->file, .path = s->path, .disk = disk_of(s) };
}

static const char *where(const struct cgroup_value_id *id)
{
	static char text[PATH_MAX + 128];

	snprintf(text, sizeof(text), "%s of %s%s%s", cgroup_file_name(id->file), id->path, id->disk ? " for " : "",
		 id->disk ? id->disk->name : "");
	return text;
}

static void forget(struct cgroup_values *set, struct cgroup_value *s)
{
	TAILQ_REMOVE(&set->list, s, entry);
	free(s->path);
	free(s);
}

/*
 * The cgroup or the disk may be another one by now, or gone: then there is nothing left of the setting. Where it is not known,
 * as without a free descriptor, the setting stays.
 */
static bool is_gone(const struct cgroup_values *set, const struct cgroup_value *s)
{
	__u64 inode = cgroup_file_inode(set->mount, s->path);
	struct disk disk;
	int err;

	if (!inode)
		return errno == ENOENT || errno == ENOTDIR;
	if (inode != s->inode || !disk_of(s))
		return inode != s->inode;
	err = disk_find(s->disk.name, &disk);
	return err ? err == -ENODEV : disk.seq != s->disk.seq;
}

/* Is @current what was there before Nestor, or what it has set? A write that failed may have had its effect, or not. */
static bool is_ours(const struct cgroup_value *s, const char *current)
{
	return !strcmp(current, s->former) || !strcmp(current, s->now) || !strcmp(current, s->before);
}

/* ---- putting back ---- */

/* Disabling a controller takes the values of all children with it: not where somebody else's are among them. */
static bool is_needed(const struct cgroup_values *set, const struct cgroup_value *s)
{
	return s->file == SETTING_CONTROLLER && !strcmp(s->former, "-io") && cgroup_file_children_use_io(set->mount, s->path);
}

static bool is_below(const char *path, const char *parent)
{
	size_t len = strcmp(parent, "/") != 0 ? strlen(parent) : 0;

	return !strncmp(path, parent, len) && path[len] == '/' && path[len + 1];
}

/* Is a value below @s still to be put back? It needs the controller until then. */
static bool is_needed_by_ours(const struct cgroup_values *set, const struct cgroup_value *s)
{
	const struct cgroup_value *other;

	TAILQ_FOREACH (other, &set->list, entry)
		if (s->file == SETTING_CONTROLLER && !other->dry && is_below(other->path, s->path))
			return true;
	return false;
}

static int write_back(struct cgroup_values *set, struct cgroup_value *s)
{
	const struct cgroup_value_id id = id_of(s);
	int err = cgroup_file_write(set->mount, &id, s->former);

	set->counts[SETTING_RESTORE][err ? SETTING_FAILED : SETTING_DONE]++;
	if (err && !s->stuck)
		log_warning("cannot put back %s to %s, and will try again: %s", where(&id), s->former, strerror(-err));
	s->stuck = err != 0;
	return err;
}

/* 0: there is nothing left to put back. */
static int put_back(struct cgroup_values *set, struct cgroup_value *s)
{
	const struct cgroup_value_id id = id_of(s);
	char current[SETTING_VALUE_MAX];
	int err = cgroup_file_read(set->mount, &id, current);

	if (err) /* a controller that is off has no values */
		return err == -ENOENT ? 0 : err;
	if (!strcmp(current, s->former))
		return 0;
	if (!is_ours(s, current)) {
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
static void drop(struct cgroup_values *set, struct cgroup_value *s)
{
	if (s->dry || is_gone(set, s) || !put_back(set, s) || is_gone(set, s))
		forget(set, s);
}

void cgroup_values_begin(struct cgroup_values *set)
{
	set->pass++;
	set->in_pass = true;
}

static bool is_wanted(const struct cgroup_values *set, const struct cgroup_value *s)
{
	return s->pass == set->pass;
}

/* Last set, first put back: values before the controller that they need, a child's controller before its parent's. */
void cgroup_values_end(struct cgroup_values *set)
{
	struct cgroup_value *s, *earlier;
	bool changed = false;

	set->in_pass = false;
	for (s = TAILQ_LAST(&set->list, setting_list); s; s = earlier) {
		earlier = TAILQ_PREV(s, setting_list, entry);
		if (is_wanted(set, s))
			continue;
		changed |= !s->dry;
		drop(set, s);
	}
	if (changed || set->unsaved)
		cgroup_journal_save(set);
}

bool cgroup_values_untag(struct cgroup_values *set, const void *tag)
{
	struct cgroup_value *s;
	bool found = false;

	TAILQ_FOREACH (s, &set->list, entry) {
		if (s->tag != tag)
			continue;
		s->tag = NULL;
		found = true;
	}
	return found;
}

void cgroup_values_drop(struct cgroup_values *set, const struct cgroup_value_id *id)
{
	struct cgroup_value *s = cgroup_journal_find(set, id, set->dry);

	if (!s)
		return;
	drop(set, s);
	if (!set->dry)
		cgroup_journal_save(set);
}

void cgroup_values_drop_all(struct cgroup_values *set)
{
	cgroup_values_begin(set);
	cgroup_values_end(set);
}

/* ---- setting ---- */

static struct cgroup_value *find_live(struct cgroup_values *set, const struct cgroup_value_id *id)
{
	struct cgroup_value *s = cgroup_journal_find(set, id, set->dry);

	if (!s || !is_gone(set, s))
		return s;
	forget(set, s);
	return NULL;
}

static int remember_new(struct cgroup_values *set, const struct cgroup_value_id *id, const char *former,
			struct cgroup_value **ret)
{
	__u64 inode = cgroup_file_inode(set->mount, id->path);
	struct cgroup_value *s;

	if (!inode)
		return -errno;
	s = cgroup_journal_add(set, id);
	if (!s)
		return -ENOMEM;
	s->inode = inode;
	s->dry = set->dry;
	snprintf(s->former, sizeof(s->former), "%s", former);
	snprintf(s->now, sizeof(s->now), "%s", former);
	snprintf(s->before, sizeof(s->before), "%s", former);
	*ret = s;
	return 0;
}

/*
 * Whatever fails, @s and the file in the run directory know @former and, of what Nestor may have written, what is in force. Of
 * the two values that they keep beside @former one is @current, if that is ours: the one that was meant to be may not be it.
 */
static int change(struct cgroup_values *set, struct cgroup_value *s, const char *value, const char *current)
{
	const struct cgroup_value_id id = id_of(s);
	char now[SETTING_VALUE_MAX], before[SETTING_VALUE_MAX];
	int err;

	memcpy(now, s->now, sizeof(now));
	memcpy(before, s->before, sizeof(before));
	snprintf(s->before, sizeof(s->before), "%s", is_ours(s, current) ? current : now);
	snprintf(s->now, sizeof(s->now), "%s", value);
	if (s->dry) {
		set->counts[SETTING_SET][SETTING_MONITORED]++;
		return 0;
	}
	err = cgroup_journal_append(set, s);
	if (err) { /* nothing is written: it stays as remembered */
		memcpy(s->now, now, sizeof(now));
		memcpy(s->before, before, sizeof(before));
	} else {
		err = cgroup_file_write(set->mount, &id, value);
	}
	set->counts[SETTING_SET][err ? SETTING_FAILED : SETTING_DONE]++;
	return err;
}

/* Where the controller is off there is nothing to read yet: what would be done is counted all the same. */
static int read_current(const struct cgroup_values *set, const struct cgroup_value_id *id, char ret_value[SETTING_VALUE_MAX])
{
	int err = cgroup_file_read(set->mount, id, ret_value);

	if (err != -ENOENT || !set->dry || !cgroup_file_inode(set->mount, id->path))
		return err;
	snprintf(ret_value, SETTING_VALUE_MAX, "%s", cgroup_file_usual(id->file));
	return 0;
}

int cgroup_values_want(struct cgroup_values *set, const struct cgroup_value_id *id, const char *value, const void *tag)
{
	struct cgroup_value *s = find_live(set, id);
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
		return strcmp(s->now, value) ? change(set, s, value, current) : 0;
	if (!strcmp(current, value) && (!s || !strcmp(s->now, value)))
		return 0;
	if (s && !is_ours(s, current))
		log_warning("%s was changed by somebody else to %s; policy has it be %s", where(id), current, value);
	if (!s) {
		err = remember_new(set, id, current, &s);
		if (err)
			return err;
		s->pass = set->pass;
		s->tag = tag;
	}
	return change(set, s, value, current);
}

int cgroup_values_former(const struct cgroup_values *set, const struct cgroup_value_id *id, char ret_value[SETTING_VALUE_MAX])
{
	const struct cgroup_value *s = cgroup_journal_find(set, id, false);

	if (s && !is_gone(set, s)) {
		memcpy(ret_value, s->former, sizeof(s->former));
		return 0;
	}
	return read_current(set, id, ret_value);
}

/* ---- life ---- */

int cgroup_values_open(struct cgroup_values *set, const char *mount, int run_dir)
{
	*set = (struct cgroup_values){ .run_dir = run_dir };
	TAILQ_INIT(&set->list);
	snprintf(set->mount, sizeof(set->mount), "%s", mount);
	return cgroup_file_init() ?: cgroup_journal_load(set);
}

void cgroup_values_close(struct cgroup_values *set)
{
	struct cgroup_value *s;

	while ((s = TAILQ_FIRST(&set->list)))
		forget(set, s);
}

int cgroup_values_undo(int run_dir, unsigned int *ret_restored)
{
	struct cgroup_values set;
	int err;

	*ret_restored = 0;
	if (faccessat(run_dir, SETTINGS_FILE, F_OK, 0))
		return 0;
	err = cgroup_values_open(&set, "", run_dir);
	if (!err)
		cgroup_values_drop_all(&set);
	*ret_restored = (unsigned int)set.counts[SETTING_RESTORE][SETTING_DONE];
	if (!err && !TAILQ_EMPTY(&set.list))
		err = log_error(-EIO, "not all values of cgroups could be put back; %s keeps them for the next time",
				SETTINGS_FILE);
	cgroup_values_close(&set);
	return err;
}
