// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cyaml/cyaml.h>
#include <linux/openat2.h>

#include "agent/policy.h"
#include "agent/util.h"
#include "agent/yaml.h"

#define FILE_SIZE_MAX (64 * 1024)
#define FILES_MAX 64

/* agent/policy.yaml, linked in; ld makes these names of the path */
extern const char _binary_agent_policy_yaml_start[];
extern const char _binary_agent_policy_yaml_end[];

/* ---- the keys: names, types, limits ---- */

static const cyaml_strval_t log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const cyaml_strval_t self_stats[] = {
	{ "off", SELF_STATS_OFF },
	{ "sample", SELF_STATS_SAMPLE },
	{ "on", SELF_STATS_ON },
};

/* For rooms that only observe. */
static const cyaml_strval_t observing_modes[] = {
	{ "off", MODE_OFF },
	{ "monitor", MODE_MONITOR },
};

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define SECTION(name) __typeof__(((struct policy *)0)->name)
#define ENUM(key, section, strings)                                                                                            \
	CYAML_FIELD_ENUM(#key, OPTIONAL | CYAML_FLAG_STRICT, SECTION(section), key, strings, ARRAY_SIZE(strings))
#define UINT(key, section) CYAML_FIELD_UINT(#key, OPTIONAL, SECTION(section), key)

static const cyaml_schema_field_t agent_fields[] = {
	ENUM(log_level, agent, log_levels),
	UINT(max_containers, agent),
	UINT(linger, agent),
	ENUM(self_stats, agent, self_stats),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t blkio_fields[] = {
	ENUM(mode, blkio, observing_modes),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t sections[] = {
	CYAML_FIELD_MAPPING("agent", OPTIONAL, struct policy, agent, agent_fields),
	CYAML_FIELD_MAPPING("blkio", OPTIONAL, struct policy, blkio, blkio_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t top = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct policy, sections) };

static const struct {
	const char *key;
	__u32 min, max;
} limits[] = {
	{ "agent.max_containers", 1, 1000 },
	{ "agent.linger", 0, 86400 },
};

/* ---- messages ---- */

struct source {
	const char *name; /* for messages */
	struct yaml_index index;
};

static int fail(struct policy_error *error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(struct policy_error *error, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return err;
}

static int fail_at(struct policy_error *error, const struct source *src, struct yaml_place place, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail_at(struct policy_error *error, const struct source *src, struct yaml_place place, const char *fmt, ...)
{
	char why[384];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return fail(error, -EINVAL, "%s:%zu:%zu: %s", src->name, place.line, place.column, why);
}

/* "agent.log_level" -> its field; NULL for a name that no field has. @offset counts from struct policy. */
static const cyaml_schema_field_t *find_field(const char *path, size_t *offset)
{
	const cyaml_schema_field_t *f = sections;
	size_t len = strcspn(path, ".");

	*offset = 0;
	while (f->key) {
		if (strlen(f->key) != len || strncmp(f->key, path, len)) {
			f++;
			continue;
		}
		*offset += f->data_offset;
		if (!path[len])
			return f;
		if (f->value.type != CYAML_MAPPING)
			return NULL;
		path += len + 1;
		len = strcspn(path, ".");
		f = f->value.mapping.fields;
	}
	return NULL;
}

/* ---- what libcyaml would refuse too, but not in words for an operator ---- */

struct names {
	char text[256]; /* "a, b, c" */
};

static void add_name(struct names *names, const char *name)
{
	size_t len = strlen(names->text);

	snprintf(names->text + len, sizeof(names->text) - len, "%s%s", len ? ", " : "", name);
}

static int unknown_key(const struct source *src, const struct yaml_key *key, struct policy_error *error)
{
	const char *dot = strrchr(key->path, '.');
	const cyaml_schema_field_t *f = sections;
	char parent[YAML_PATH_MAX] = "";
	struct names names = {};
	size_t offset;

	if (dot) {
		memcpy(parent, key->path, (size_t)(dot - key->path));
		f = find_field(parent, &offset)->value.mapping.fields;
	}
	for (; f->key; f++)
		add_name(&names, f->key);
	if (!dot)
		return fail_at(error, src, key->key, "unknown section %s; there are: %s", key->path, names.text);
	return fail_at(error, src, key->key, "unknown key %s; %s has: %s", key->path, parent, names.text);
}

static int check_section(const struct source *src, const struct yaml_key *key, struct policy_error *error)
{
	if (key->kind == YAML_KIND_KEYS)
		return 0;
	if (key->kind == YAML_KIND_TEXT && !key->text[0])
		return fail_at(error, src, key->key, "%s is empty; give it a key, or take it out", key->path);
	return fail_at(error, src, key->value, "%s is a section; its keys go below it, indented", key->path);
}

static int check_word(const struct source *src, const struct yaml_key *key, const cyaml_schema_field_t *f,
		      struct policy_error *error)
{
	struct names names = {};

	for (uint32_t i = 0; i < f->value.enumeration.count; i++) {
		if (!strcmp(f->value.enumeration.strings[i].str, key->text))
			return 0;
		add_name(&names, f->value.enumeration.strings[i].str);
	}
	return fail_at(error, src, key->value, "%s: '%s' is none of: %s", key->path, key->text, names.text);
}

/* Plain digits: libcyaml would take 0x10, and 010 for 8. libcyaml 1.3 has no limits of its own. */
static int check_number(const struct source *src, const struct yaml_key *key, struct policy_error *error)
{
	const char *text = key->text;
	unsigned long long value;

	if (!*text || text[strspn(text, "0123456789")] || (text[0] == '0' && text[1]))
		return fail_at(error, src, key->value, "%s: '%s' is not a whole number", key->path, text);
	value = strtoull(text, NULL, 10);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (strcmp(limits[i].key, key->path) || (value >= limits[i].min && value <= limits[i].max))
			continue;
		return fail_at(error, src, key->value, "%s: %s is out of range; it may be %u to %u", key->path, text,
			       limits[i].min, limits[i].max);
	}
	return 0;
}

static int check_key(const struct source *src, const struct yaml_key *key, struct policy_error *error)
{
	size_t offset;
	const cyaml_schema_field_t *f = find_field(key->path, &offset);

	if (!f)
		return unknown_key(src, key, error);
	if (f->value.type == CYAML_MAPPING)
		return check_section(src, key, error);
	if (key->kind != YAML_KIND_TEXT)
		return fail_at(error, src, key->value, "%s: must be a single value", key->path);
	if (f->value.type == CYAML_ENUM)
		return check_word(src, key, f, error);
	return check_number(src, key, error);
}

/* In the order of the file, so a key's section was found good before. */
static int check_keys(const struct source *src, struct policy_error *error)
{
	int err = 0;

	for (size_t i = 0; i < src->index.nr && !err; i++)
		err = check_key(src, &src->index.keys[i], error);
	return err;
}

/* ---- one file ---- */

/* What libcyaml says of an error: the complaint, and the innermost place. */
struct complaint {
	char text[256];
	struct yaml_place place;
};

static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct complaint *c = ctx;
	char line[256];
	const char *at;

	(void)level;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	at = strstr(line, "(line: ");
	if (at && !c->place.line)
		sscanf(at, "(line: %zu, column: %zu)", &c->place.line, &c->place.column);
	else if (!c->text[0])
		snprintf(c->text, sizeof(c->text), "%s", line + (strncmp(line, "Load: ", 6) ? 0 : 6));
}

static int parse(const struct source *src, const char *text, size_t len, struct policy **ret, struct policy_error *error)
{
	struct complaint complaint = {};
	const cyaml_config_t config = {
		.log_fn = on_cyaml_log,
		.log_ctx = &complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_err_t err;

	err = cyaml_load_data((const uint8_t *)text, len, &config, &top, (cyaml_data_t **)ret, NULL);
	if (err == CYAML_OK)
		return 0;
	if (!complaint.text[0])
		snprintf(complaint.text, sizeof(complaint.text), "%s", cyaml_strerror(err));
	return fail_at(error, src, complaint.place, "%s", complaint.text);
}

/* Copies the keys that the file sets, and no other. */
static void overlay(struct policy *to, const struct policy *from, const struct yaml_index *index)
{
	for (size_t i = 0; i < index->nr; i++) {
		const cyaml_schema_field_t *f;
		size_t offset;

		f = find_field(index->keys[i].path, &offset);
		if (f && f->value.type != CYAML_MAPPING)
			memcpy((char *)to + offset, (const char *)from + offset, f->value.data_size);
	}
}

static int read_text(struct source *src, const char *text, size_t len, struct policy *into, struct policy_error *error)
{
	struct policy *parsed = NULL;
	struct yaml_place place;
	char why[256] = "";
	int err;

	err = yaml_index(text, len, &src->index, &place, why, sizeof(why));
	if (err)
		return fail_at(error, src, place, "%s", why);
	err = check_keys(src, error);
	if (err || !src->index.nr)
		return err;
	err = parse(src, text, len, &parsed, error);
	if (err)
		return err;
	overlay(into, parsed, &src->index);
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
		return fail(error, -errno, "%s: %s", shown, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return fail(error, -ELOOP, "%s: is a symbolic link; a policy must be the file itself", shown);
	if (!dir && !S_ISREG(st.st_mode))
		return fail(error, -EINVAL, "%s: is not a regular file", shown);
	if (st.st_uid && st.st_uid != geteuid())
		return fail(error, -EPERM, "%s: is owned by uid %u; it must be root's", shown, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(error, -EPERM, "%s: others may write to it; chmod go-w", shown);
	if (!dir && st.st_size > FILE_SIZE_MAX)
		return fail(error, -EFBIG, "%s: is larger than %d KiB", shown, FILE_SIZE_MAX / 1024);
	return 0;
}

/* Looks before it opens: opening a FIFO waits, and opening a device can do anything. */
static int open_file(int dir, const char *name, const char *shown, struct policy_error *error)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH,
	};
	_close_ int found = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	char again[64];
	int fd, err;

	if (found < 0)
		return fail(error, -errno, "%s: %s", shown, strerror(errno));
	err = check_inode(found, false, shown, error);
	if (err)
		return err;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", found);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(error, -errno, "%s: %s", shown, strerror(errno)) : fd;
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

static int read_file(int dir, const char *name, struct source *src, struct policy *into, struct policy_error *error)
{
	_free_ char *text = malloc(FILE_SIZE_MAX + 1);
	_close_ int fd = -1;
	ssize_t len;

	if (!text)
		return fail(error, -ENOMEM, "%s: out of memory", src->name);
	fd = open_file(dir, name, src->name, error);
	if (fd < 0)
		return fd;
	len = read_all(fd, text, FILE_SIZE_MAX + 1);
	if (len < 0)
		return fail(error, (int)len, "%s: %s", src->name, strerror((int)-len));
	if (len > FILE_SIZE_MAX)
		return fail(error, -EFBIG, "%s: is larger than %d KiB", src->name, FILE_SIZE_MAX / 1024);
	return read_text(src, text, (size_t)len, into, error);
}

/* Two files that set one key would make the order of their names decide silently. */
static int check_conflicts(const struct source *sources, size_t nr, struct policy_error *error)
{
	const struct source *last = &sources[nr - 1];

	for (size_t i = 0; i < last->index.nr; i++) {
		const struct yaml_key *key = &last->index.keys[i];
		size_t offset;
		const cyaml_schema_field_t *f = find_field(key->path, &offset);

		if (!f || f->value.type == CYAML_MAPPING)
			continue;
		for (size_t j = 0; j + 1 < nr; j++) {
			const struct yaml_key *other = yaml_find(&sources[j].index, key->path);

			if (other)
				return fail(error, -EINVAL, "%s:%zu:%zu: %s is set in %s:%zu too", last->name, key->key.line,
					    key->key.column, key->path, sources[j].name, other->key.line);
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
	_free_ struct source *sources = calloc(nr + 1, sizeof(*sources));
	_free_ char *names = calloc(nr + 1, PATH_MAX);
	int err = 0;

	if (!sources || !names)
		return fail(error, -ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < nr && !err; i++) {
		char *shown = names + i * PATH_MAX;

		snprintf(shown, PATH_MAX, "%s/%s", path, entries[i]->d_name);
		sources[i].name = shown;
		err = read_file(dir, entries[i]->d_name, &sources[i], into, error);
		if (!err)
			err = check_conflicts(sources, i + 1, error);
	}
	return err;
}

static int read_dir(int dir, const char *path, struct policy *into, struct policy_error *error)
{
	struct dirent **entries;
	int nr, err;

	nr = scandirat(dir, ".", &entries, is_yaml, alphasort);
	if (nr < 0)
		return fail(error, -errno, "%s: %s", path, strerror(errno));
	if (nr > FILES_MAX)
		err = fail(error, -E2BIG, "%s: has more than %d *.yaml files", path, FILES_MAX);
	else
		err = read_entries(dir, path, entries, (size_t)nr, into, error);
	for (int i = 0; i < nr; i++)
		free(entries[i]);
	free(entries);
	return err;
}

static int read_path(const char *path, struct policy *into, struct policy_error *error)
{
	_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char parent[PATH_MAX], name[PATH_MAX];
	_free_ struct source *src = NULL;

	if (dir >= 0)
		return check_inode(dir, true, path, error) ?: read_dir(dir, path, into, error);
	if (errno != ENOTDIR)
		return fail(error, -errno, "%s: %s", path, strerror(errno));
	src = calloc(1, sizeof(*src));
	if (!src)
		return fail(error, -ENOMEM, "%s: out of memory", path);
	src->name = path;
	snprintf(parent, sizeof(parent), "%s", path);
	snprintf(name, sizeof(name), "%s", path);
	dir = open(dirname(parent), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail(error, -errno, "%s: %s", path, strerror(errno));
	return read_file(dir, basename(name), src, into, error);
}

static int read_defaults(struct policy *into, struct policy_error *error)
{
	/* As numbers: to C the two names are two objects. */
	uintptr_t start = (uintptr_t)_binary_agent_policy_yaml_start, end = (uintptr_t)_binary_agent_policy_yaml_end;
	_free_ struct source *src = calloc(1, sizeof(*src));

	if (!src)
		return fail(error, -ENOMEM, "out of memory");
	src->name = "(built-in)";
	return read_text(src, _binary_agent_policy_yaml_start, end - start, into, error);
}

int policy_load(const char *path, struct policy **ret_policy, struct policy_error *error)
{
	struct policy *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return fail(error, -ENOMEM, "out of memory");
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

void policy_free(struct policy *policy)
{
	free(policy); /* no field points anywhere */
}

/* ---- showing it ---- */

static json_t *field_to_json(const cyaml_schema_field_t *f, const void *data)
{
	__u32 value = *(const __u32 *)data;

	if (f->value.type != CYAML_ENUM)
		return json_integer(value);
	for (uint32_t i = 0; i < f->value.enumeration.count; i++)
		if (f->value.enumeration.strings[i].val == value)
			return json_string(f->value.enumeration.strings[i].str);
	return json_null();
}

json_t *policy_to_json(const struct policy *policy)
{
	json_t *all = json_object();

	for (const cyaml_schema_field_t *s = sections; s->key; s++) {
		json_t *section = json_object();

		for (const cyaml_schema_field_t *f = s->value.mapping.fields; f->key; f++)
			json_object_set_new(section, f->key,
					    field_to_json(f, (const char *)policy + s->data_offset + f->data_offset));
		json_object_set_new(all, s->key, section);
	}
	return all;
}
