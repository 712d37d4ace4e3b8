// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/lib/util.h"
#include "agent/policy/internal.h"
#include "agent/policy/yaml.h"

#define FILE_SIZE_MAX (256 * 1024)
#define FILES_MAX 64

/* ---- one file ---- */

int policy_read_text(struct policy_source *src, const char *text, size_t len, struct policy *into, struct policy_error *error)
{
	struct policy *parsed = NULL;
	struct yaml_place place;
	char why[256] = "";
	int err;

	err = yaml_index(text, len, &src->index, &place, why, sizeof(why));
	if (err)
		return policy_fail_at(error, src, place, "%s", why);
	err = policy_check(into->sections, src, error);
	if (err || !src->index.nr)
		return err;
	err = policy_parse(into->sections, src, text, len, &parsed, error);
	if (err)
		return err;
	policy_overlay(into, parsed, &src->index);
	policy_free(parsed);
	return 0;
}

/* ---- files and directories ---- */

/*
 * A policy is what root or we ourselves wrote: no links, which could be pointed elsewhere between check
 * and use, and nobody else may write it.
 */
static int check_inode(int fd, bool dir, const char *shown, struct policy_error *error)
{
	struct stat st;

	if (fstat(fd, &st))
		return policy_fail(error, -errno, "%s: %s", shown, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return policy_fail(error, -ELOOP, "%s: is a symbolic link; a policy must be the file itself", shown);
	if (!dir && !S_ISREG(st.st_mode))
		return policy_fail(error, -EINVAL, "%s: is not a regular file", shown);
	if (st.st_uid && st.st_uid != geteuid())
		return policy_fail(error, -EPERM, "%s: is owned by uid %u; it must be root's", shown, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return policy_fail(error, -EPERM, "%s: others may write to it; chmod go-w", shown);
	if (!dir && st.st_size > FILE_SIZE_MAX)
		return policy_fail(error, -EFBIG, "%s: is larger than %d KiB", shown, FILE_SIZE_MAX / 1024);
	return 0;
}

/* @name is in @dir itself. Looks before it opens: opening a FIFO waits, and opening a device can do anything. */
static int open_file(int dir, const char *name, const char *shown, struct policy_error *error)
{
	_close_ int found = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char again[64];
	int fd, err;

	if (found < 0)
		return policy_fail(error, -errno, "%s: %s", shown, strerror(errno));
	err = check_inode(found, false, shown, error);
	if (err)
		return err;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", found);
	fd = open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* the holder of a lease is not waited for */
	return fd < 0 ? policy_fail(error, -errno, "%s: %s", shown, strerror(errno)) : fd;
}

/* Reads all of @fd, at most @size bytes (it may have grown since it was measured). */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(fd, text + len, size - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int read_file(int dir, const char *name, struct policy_source *src, struct policy *into, struct policy_error *error)
{
	_free_ char *text = malloc(FILE_SIZE_MAX + 1);
	_close_ int fd = -1;
	ssize_t len;

	if (!text)
		return policy_fail(error, -ENOMEM, "%s: out of memory", src->name);
	fd = open_file(dir, name, src->name, error);
	if (fd < 0)
		return fd;
	len = read_all(fd, text, FILE_SIZE_MAX + 1);
	if (len < 0)
		return policy_fail(error, (int)len, "%s: %s", src->name, strerror((int)-len));
	if (len > FILE_SIZE_MAX)
		return policy_fail(error, -EFBIG, "%s: is larger than %d KiB", src->name, FILE_SIZE_MAX / 1024);
	return policy_read_text(src, text, (size_t)len, into, error);
}

/* Two files that set one key would make the order of their names decide silently. */
static int check_conflicts(const struct policy_section *const *sections, const struct policy_source *sources, size_t nr,
			   struct policy_error *error)
{
	const struct policy_source *last = &sources[nr - 1];

	for (size_t i = 0; i < last->index.nr; i++) {
		const struct yaml_key *key = &last->index.keys[i];

		if (!policy_is_setting(sections, key->path))
			continue;
		for (size_t j = 0; j + 1 < nr; j++) {
			const struct yaml_key *other = yaml_find(&sources[j].index, key->path);

			if (other)
				return policy_fail(error, -EINVAL, "%s:%zu:%zu: %s is set in %s:%zu too", last->name,
						   key->key.line, key->key.column, key->path, sources[j].name, other->key.line);
		}
	}
	return 0;
}

static int is_yaml(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && !strcmp(entry->d_name + len - 5, ".yaml");
}

static int read_entries(int dir, const char *path, struct dirent **entries, size_t nr, struct policy *into,
			struct policy_error *error)
{
	_free_ struct policy_source *sources = calloc(nr + 1, sizeof(*sources));
	_free_ char *names = calloc(nr + 1, PATH_MAX);
	int err = 0;

	if (!sources || !names)
		return policy_fail(error, -ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < nr && !err; i++) {
		char *shown = names + i * PATH_MAX;

		snprintf(shown, PATH_MAX, "%s/%s", path, entries[i]->d_name);
		sources[i].name = shown;
		err = read_file(dir, entries[i]->d_name, &sources[i], into, error);
		if (!err)
			err = check_conflicts(into->sections, sources, i + 1, error);
	}
	return err;
}

static int read_dir(int dir, const char *path, struct policy *into, struct policy_error *error)
{
	struct dirent **entries;
	int nr, err;

	nr = scandirat(dir, ".", &entries, is_yaml, alphasort);
	if (nr < 0)
		return policy_fail(error, -errno, "%s: %s", path, strerror(errno));
	if (nr > FILES_MAX)
		err = policy_fail(error, -E2BIG, "%s: has more than %d *.yaml files", path, FILES_MAX);
	else
		err = read_entries(dir, path, entries, (size_t)nr, into, error);
	for (int i = 0; i < nr; i++)
		free(entries[i]);
	free(entries);
	return err;
}

/*
 * One at a time, and kept: it has room for the keys of any file, which is much to ask malloc for at every reading. As a
 * variable it would make a huge page of the program's data. NULL: no memory.
 */
static struct policy_source *source_of(const char *name)
{
	static struct policy_source *source;

	if (!source)
		source = calloc(1, sizeof(*source));
	if (source)
		source->name = name;
	return source;
}

static int read_path(const char *path, struct policy *into, struct policy_error *error)
{
	_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char parent[PATH_MAX], name[PATH_MAX];
	struct policy_source *src;

	if (dir >= 0)
		return check_inode(dir, true, path, error) ?: read_dir(dir, path, into, error);
	if (errno != ENOTDIR)
		return policy_fail(error, -errno, "%s: %s", path, strerror(errno));
	src = source_of(path);
	if (!src)
		return policy_fail(error, -ENOMEM, "%s: out of memory", path);
	snprintf(parent, sizeof(parent), "%s", path);
	snprintf(name, sizeof(name), "%s", path);
	dir = open(dirname(parent), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return policy_fail(error, -errno, "%s: %s", path, strerror(errno));
	return read_file(dir, basename(name), src, into, error);
}

/* The text of policy.yaml, without the file. */
static int read_defaults(struct policy *into, struct policy_error *error)
{
	struct policy_source *src = source_of("(built-in)");
	_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!src || !out)
		return policy_fail(error, -ENOMEM, "out of memory");
	policy_print_yaml(out, into->sections);
	fclose(out);
	return policy_read_text(src, text, len, into, error);
}

int policy_load(const struct policy_section *const *sections, const char *path, struct policy **ret_policy,
		struct policy_error *error)
{
	struct policy *p = policy_new(sections);
	int err;

	if (!p)
		return policy_fail(error, -ENOMEM, "out of memory");
	err = read_defaults(p, error);
	if (!err && path)
		err = read_path(path, p, error);
	if (err) {
		policy_free(p);
		return err;
	}
	*ret_policy = p;
	return 0;
}
