// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "agent/policy/section.h"
#include "agent/lib/units.h"
#include "agent/lib/util.h"
#include "bpf/net.h"

/* ---- the keys: names, types, limits ---- */

/* What numbers may be, written as in a policy. */
static const struct range {
	const char *key, *min, *max;
	bool or_zero;
} ranges[] = {
	{ "agent.max_containers", "1", "1000", false },
	{ "agent.linger", "0", "86400", false },
	{ "agent.min_age", "0", "86400", false },
	{ "blkio.limits.read", "1kB", "1TB", false },
	{ "blkio.limits.write", "1kB", "1TB", false },
	{ "blkio.limits.read_iops", "1", "1000000000", false },
	{ "blkio.limits.write_iops", "1", "1000000000", false },
	{ "blkio.limits.weight", "1", "10000", false },
	{ "blkio.targets.p99", "10us", "60s", false },
	{ "net.link", "1Mbit", "10Tbit", true },
	{ "net.limits.egress", "8kbit", "10Tbit", false },
	{ "net.limits.ingress", "8kbit", "10Tbit", false },
	{ "net.limits.weight", "1", "10000", false },
	{ "cache.memory", "1MiB", "1TiB", true },
	{ "cache.ssd_size", "2MiB", "16TiB", true },
	{ "cache.min_free", "0", "1TiB", false },
	{ "cache.pools.memory", "0", "10000", false },
	{ "cache.pools.ssd", "0", "10000", false },
	{ "dedup.interval", "1s", "86400s", false },
	{ "dedup.cpu", "1", "100", false },
	{ "dedup.max_pressure", "0", "100", false },
	{ "gpufn.slice_limit", "10ms", "3600s", false },
	{ "gpufn.memory", "1MiB", "16TiB", false },
	{ "gpufn.queue", "1", "10000", false },
	{ "gpufn.tenants.weight", "1", "10000", false },
	{ "gpufn.tenants.priority", "0", "3", false },
	{ "gpufn.tenants.memory", "1MiB", "16TiB", false },
	{ "gpufn.tenants.queue", "1", "10000", false },
	{ "net.migration.mark", "1", "4294967295", false },
};

/* Which keys the entries of a list need. */
static const struct need {
	const char *list;
	enum { ALL, ONE, SOME } which;
	const char *keys;
} needs[] = {
	{ "blkio.limits", ONE, "container, vm" },
	{ "blkio.limits", ALL, "device" },
	{ "blkio.limits", SOME, "read, write, read_iops, write_iops, weight" },
	{ "blkio.targets", ONE, "container, vm" },
	{ "blkio.targets", ALL, "device, p99" },
	{ "net.limits", ONE, "container, vm, migration" },
	{ "net.limits", SOME, "egress, ingress, weight" },
	{ "cache.pools", ALL, "container" },
	{ "cache.pools", SOME, "memory, ssd" },
	{ "dedup.targets", ONE, "container, vm" },
	{ "dedup.targets", ALL, "domain" },
	{ "gpufn.tenants", ONE, "container, user" },
	{ "net.migration", ALL, "kind" },
	{ "net.migration", SOME, "process, container, port, mark" },
};

/* ---- paths ---- */

static const cyaml_schema_field_t *find_field(const cyaml_schema_value_t *v, const char *name, size_t len)
{
	if (v->type != CYAML_MAPPING)
		return NULL;
	for (const cyaml_schema_field_t *f = v->mapping.fields; f->key; f++)
		if (strlen(f->key) == len && !strncmp(f->key, name, len))
			return f;
	return NULL;
}

size_t policy_stride(const cyaml_schema_value_t *entry)
{
	return entry->flags & CYAML_FLAG_POINTER ? sizeof(void *) : entry->data_size;
}

const cyaml_schema_value_t *policy_find(const char *path, char **data)
{
	const cyaml_schema_value_t *v = &policy_schema;

	while (v && *path) {
		const cyaml_schema_field_t *f;
		size_t len;

		if (*path == '[') {
			size_t i = strtoul(path + 1, NULL, 10);

			v = v->type == CYAML_SEQUENCE ? v->sequence.entry : NULL;
			if (v && *data)
				*data = *(char **)*data + i * policy_stride(v);
			path += strcspn(path, "]") + 1;
			continue;
		}
		path += *path == '.';
		len = strcspn(path, ".[");
		f = find_field(v, path, len);
		v = f ? &f->value : NULL;
		if (f && *data)
			*data += f->data_offset;
		path += len;
	}
	return v;
}

static const cyaml_schema_value_t *find_schema(const char *path)
{
	char *none = NULL;

	return policy_find(path, &none);
}

bool policy_is_setting(const char *path)
{
	const cyaml_schema_value_t *v = find_schema(path);

	return v && v->type != CYAML_MAPPING && !strchr(path, '[');
}

struct names {
	char text[YAML_PATH_MAX]; /* "a, b, c" */
};

static void add_name(struct names *names, const char *name)
{
	size_t len = strlen(names->text);

	snprintf(names->text + len, sizeof(names->text) - len, "%s%s", len ? ", " : "", name);
}

/* "net.limits[1].egress" -> "net.limits.egress" */
static struct names without_index(const char *path)
{
	struct names plain_path;
	size_t len = 0;

	while (*path) {
		if (*path == '[')
			path += strcspn(path, "]") + 1;
		else
			plain_path.text[len++] = *path++;
	}
	plain_path.text[len] = '\0';
	return plain_path;
}

/* ---- messages ---- */

int policy_fail(struct policy_error *error, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return err;
}

int policy_fail_at(struct policy_error *error, const struct policy_source *src, struct yaml_place place, const char *fmt, ...)
{
	char why[384];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return policy_fail(error, -EINVAL, "%s:%zu:%zu: %s", src->name, place.line, place.column, why);
}

/* ---- what libcyaml would refuse too, but not in words for an operator ---- */

static int unknown_key(const struct policy_source *src, const struct yaml_key *key, struct policy_error *error)
{
	const char *dot = strrchr(key->path, '.');
	char parent[YAML_PATH_MAX] = "";
	struct names names = {};

	if (dot)
		memcpy(parent, key->path, (size_t)(dot - key->path));
	for (const cyaml_schema_field_t *f = find_schema(parent)->mapping.fields; f->key; f++)
		add_name(&names, f->key);
	if (!dot)
		return policy_fail_at(error, src, key->key, "unknown section %s; there are: %s", key->path, names.text);
	return policy_fail_at(error, src, key->key, "unknown key %s; %s has: %s", key->path, parent, names.text);
}

static int check_section(const struct policy_source *src, const struct yaml_key *key, struct policy_error *error)
{
	if (key->kind == YAML_KIND_KEYS)
		return 0;
	if (key->kind == YAML_KIND_TEXT && !key->text[0])
		return policy_fail_at(error, src, key->key, "%s is empty; give it a key, or take it out", key->path);
	return policy_fail_at(error, src, key->value, "%s is a section; its keys go below it, indented", key->path);
}

/* The entries of a list follow it in the index, each before its keys. */
static int check_entries(const struct policy_source *src, const struct yaml_key *list, __u32 max, struct policy_error *error)
{
	size_t len = strlen(list->path);
	__u32 nr = 0;

	for (const struct yaml_key *key = list + 1; key < src->index.keys + src->index.nr; key++) {
		const char *rest = key->path + len;

		if (strncmp(key->path, list->path, len) || *rest != '[')
			break;
		if (!rest[strcspn(rest, "]") + 1] && ++nr > max)
			return policy_fail_at(error, src, key->key, "%s has more than %u entries", list->path, max);
	}
	return 0;
}

static int check_list(const struct policy_source *src, const struct yaml_key *key, __u32 max, struct policy_error *error)
{
	if (key->kind == YAML_KIND_LIST)
		return check_entries(src, key, max, error);
	if (key->kind == YAML_KIND_TEXT && !key->text[0])
		return policy_fail_at(error, src, key->key, "%s is empty; a list without entries is []", key->path);
	return policy_fail_at(error, src, key->value, "%s is a list; its entries go below it, each after a dash", key->path);
}

/* How many of the names in @keys, "a, b", the entry at @entry has; its keys follow it in the index. */
static unsigned int count_given(const struct yaml_index *index, const struct yaml_key *entry, const char *keys)
{
	size_t len = strlen(entry->path);
	unsigned int given = 0;

	for (const char *name = keys; *name; name += strspn(name, ", ")) {
		size_t name_len = strcspn(name, ",");

		for (const struct yaml_key *key = entry + 1; key < index->keys + index->nr; key++) {
			if (strncmp(key->path, entry->path, len))
				break;
			given += strlen(key->path) == len + 1 + name_len && !strncmp(key->path + len + 1, name, name_len);
		}
		name += name_len;
	}
	return given;
}

static unsigned int count_names(const char *keys)
{
	unsigned int n = 1;

	while ((keys = strchr(keys, ',')) != NULL) {
		keys++;
		n++;
	}
	return n;
}

static bool is_met(const struct need *n, unsigned int given)
{
	if (n->which == ALL)
		return given == count_names(n->keys);
	return n->which == ONE ? given == 1 : given > 0;
}

static int check_needs(const struct policy_source *src, const struct yaml_key *entry, struct policy_error *error)
{
	static const char *const which[] = { [ALL] = "", [ONE] = "exactly one of: ", [SOME] = "at least one of: " };
	struct names list = without_index(entry->path);

	for (const struct need *n = needs; n < needs + ARRAY_SIZE(needs); n++)
		if (!strcmp(n->list, list.text) && !is_met(n, count_given(&src->index, entry, n->keys)))
			return policy_fail_at(error, src, entry->key, "%s: needs %s%s", entry->path, which[n->which], n->keys);
	return 0;
}

static int check_entry(const struct policy_source *src, const struct yaml_key *entry, struct policy_error *error)
{
	if (entry->kind == YAML_KIND_KEYS)
		return 0;
	return policy_fail_at(error, src, entry->value, "%s: must be keys with values, such as container: web", entry->path);
}

static int check_word(const struct policy_source *src, const struct yaml_key *key, const cyaml_schema_value_t *v,
		      struct policy_error *error)
{
	struct names names = {};

	for (uint32_t i = 0; i < v->enumeration.count; i++) {
		if (!strcmp(v->enumeration.strings[i].str, key->text))
			return 0;
		add_name(&names, v->enumeration.strings[i].str);
	}
	return policy_fail_at(error, src, key->value, "%s: '%s' is none of: %s", key->path, key->text, names.text);
}

/* Could a name that the kernel has cut match? One with more characters than are left never does; sets are not looked at. */
static bool wants_longer_comm(const char *glob)
{
	size_t nr = 0;

	for (const char *c = glob; *c; c++)
		nr += *c != '*';
	return nr >= NET_COMM_MAX && !strpbrk(glob, "[\\");
}

/* A name or a glob of names. */
static int check_string(const struct policy_source *src, const struct yaml_key *key, const cyaml_schema_value_t *v,
			struct policy_error *error)
{
	if (!key->len)
		return policy_fail_at(error, src, key->value, "%s: is empty", key->path);
	if (key->len > v->string.max)
		return policy_fail_at(error, src, key->value, "%s: is longer than %u characters", key->path, v->string.max);
	if (v->string.max == POLICY_DEVICE_LEN_MAX && strchr(key->text, '/'))
		return policy_fail_at(error, src, key->value, "%s: '%s' is not the bare name of a disk, such as vda", key->path,
				      key->text);
	if (!strcmp(without_index(key->path).text, "net.migration.process") && wants_longer_comm(key->text))
		return policy_fail_at(error, src, key->value,
				      "%s: '%s' fits no process, as the kernel cuts their names at %d "
				      "characters; end it with a star",
				      key->path, key->text, NET_COMM_MAX - 1);
	return 0;
}

static int not_a_number(const struct policy_source *src, const struct yaml_key *key, const cyaml_strval_t *units,
			struct policy_error *error)
{
	struct names names = {};
	bool needed = units[0].str[0];

	if (units == units_plain)
		return policy_fail_at(error, src, key->value, "%s: '%s' is not a whole number", key->path, key->text);
	for (const cyaml_strval_t *u = units + !needed; u->str; u++)
		add_name(&names, u->str);
	return policy_fail_at(error, src, key->value, "%s: '%s' is not a whole number with %s of: %s", key->path, key->text,
			      needed ? "one" : "none or one", names.text);
}

static int check_range(const struct policy_source *src, const struct yaml_key *key, const cyaml_strval_t *units, __u64 value,
		       struct policy_error *error)
{
	struct names name = without_index(key->path);
	__u64 min = 0, max = 0;

	for (const struct range *r = ranges; r < ranges + ARRAY_SIZE(ranges); r++) {
		if (strcmp(r->key, name.text))
			continue;
		units_parse(r->min, units, &min);
		units_parse(r->max, units, &max);
		if ((value < min || value > max) && (value || !r->or_zero))
			return policy_fail_at(error, src, key->value, "%s: %s is out of range; it may be %s%s to %s", key->path,
					      key->text, r->or_zero ? "0, or " : "", r->min, r->max);
	}
	return 0;
}

/* libcyaml would take 0x10, and 010 for 8, and 1.3 has no limits of its own. */
static int check_number(const struct policy_source *src, const struct yaml_key *key, const cyaml_strval_t *units,
			struct policy_error *error)
{
	__u64 value = ~0ULL; /* what is more is out of range too */

	if (units_parse(key->text, units, &value) == -EINVAL)
		return not_a_number(src, key, units, error);
	return check_range(src, key, units, value, error);
}

static int check_ports(const struct policy_source *src, const struct yaml_key *key, struct policy_error *error)
{
	__u32 first, last;

	if (!units_parse_ports(key->text, &first, &last))
		return 0;
	return policy_fail_at(error, src, key->value, "%s: '%s' is not a port, 1 to 65535, or a range such as 49152-49215",
			      key->path, key->text);
}

static int check_value(const struct policy_source *src, const struct yaml_key *key, const cyaml_schema_value_t *v,
		       struct policy_error *error)
{
	if (key->kind != YAML_KIND_TEXT)
		return policy_fail_at(error, src, key->value, "%s: must be a single value", key->path);
	switch (v->type) {
	case CYAML_ENUM:
		return check_word(src, key, v, error);
	case CYAML_STRING:
		return check_string(src, key, v, error);
	case CYAML_IGNORE:
		if (!v->enumeration.strings)
			return check_ports(src, key, error);
		return check_number(src, key, v->enumeration.strings, error);
	default:
		return check_number(src, key, units_plain, error);
	}
}

static int check_key(const struct policy_source *src, const struct yaml_key *key, struct policy_error *error)
{
	const cyaml_schema_value_t *v = find_schema(key->path);

	if (!v)
		return unknown_key(src, key, error);
	if (v->type == CYAML_SEQUENCE)
		return check_list(src, key, v->sequence.max, error);
	if (v->type != CYAML_MAPPING)
		return check_value(src, key, v, error);
	return strchr(key->path, '[') ? check_entry(src, key, error) : check_section(src, key, error);
}

/*
 * In the order of the file, so what a key is in was found good before. What an entry lacks is looked at last: it may
 * just be misspelt.
 */
int policy_check(const struct policy_source *src, struct policy_error *error)
{
	int err = 0;

	for (size_t i = 0; i < src->index.nr && !err; i++)
		err = check_key(src, &src->index.keys[i], error);
	for (size_t i = 0; i < src->index.nr && !err; i++)
		if (src->index.keys[i].kind == YAML_KIND_KEYS)
			err = check_needs(src, &src->index.keys[i], error);
	return err;
}
