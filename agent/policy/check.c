// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/policy/internal.h"

struct names {
	char text[YAML_PATH_MAX]; /* "a, b, c" */
};

static void add_name(struct names *names, const char *name)
{
	size_t len = strlen(names->text);

	snprintf(names->text + len, sizeof(names->text) - len, "%s%s", len ? ", " : "", name);
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

static int unknown_key(const struct policy_section *const *sections, const struct policy_source *src,
		       const struct yaml_key *key, struct policy_error *error)
{
	const char *dot = strrchr(key->path, '.');
	char parent[YAML_PATH_MAX] = "";
	struct names names = {};
	struct policy_node node;

	if (!dot) {
		for (unsigned int i = 0; sections[i]; i++)
			add_name(&names, sections[i]->name);
		return policy_fail_at(error, src, key->key, "unknown section %s; there are: %s", key->path, names.text);
	}
	memcpy(parent, key->path, (size_t)(dot - key->path));
	if (policy_find(sections, NULL, parent, &node)) /* it was found good before */
		for (const struct policy_key *k = policy_keys_below(&node); k && k->name; k++)
			add_name(&names, k->name);
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

/* What the keys of an entry say together. */
static int check_needs(const struct policy_source *src, const struct yaml_key *entry, const struct policy_key *list,
		       struct policy_error *error)
{
	if (list->one && count_given(&src->index, entry, list->one) != 1)
		return policy_fail_at(error, src, entry->key, "%s: needs exactly one of: %s", entry->path, list->one);
	if (list->all && count_given(&src->index, entry, list->all) != count_names(list->all))
		return policy_fail_at(error, src, entry->key, "%s: needs %s", entry->path, list->all);
	if (list->some && !count_given(&src->index, entry, list->some))
		return policy_fail_at(error, src, entry->key, "%s: needs at least one of: %s", entry->path, list->some);
	return 0;
}

static int check_entry(const struct policy_source *src, const struct yaml_key *entry, struct policy_error *error)
{
	if (entry->kind == YAML_KIND_KEYS)
		return 0;
	return policy_fail_at(error, src, entry->value, "%s: must be keys with values, such as container: web", entry->path);
}

static int check_word(const struct policy_source *src, const struct yaml_key *key, const struct policy_key *k,
		      struct policy_error *error)
{
	struct names names = {};

	if (util_find_name(k->words, k->nr_words, key->text) < k->nr_words)
		return 0;
	for (unsigned int i = 0; i < k->nr_words; i++)
		add_name(&names, k->words[i]);
	return policy_fail_at(error, src, key->value, "%s: '%s' is none of: %s", key->path, key->text, names.text);
}

static int check_string(const struct policy_source *src, const struct yaml_key *key, const struct policy_key *k,
			struct policy_error *error)
{
	const char *why;

	if (!key->len)
		return policy_fail_at(error, src, key->value, "%s: is empty", key->path);
	if (key->len > k->len_max)
		return policy_fail_at(error, src, key->value, "%s: is longer than %u characters", key->path, k->len_max);
	why = k->check ? k->check(key->text) : NULL;
	return why ? policy_fail_at(error, src, key->value, "%s: '%s' %s", key->path, key->text, why) : 0;
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

/* libcyaml would take 0x10, and 010 for 8, and 1.3 has no limits of its own. */
static int check_number(const struct policy_source *src, const struct yaml_key *key, const struct policy_key *k,
			struct policy_error *error)
{
	__u64 min = 0, max = 0, value = ~0ULL; /* what is more is out of range, too */

	if (units_parse(key->text, k->units, &value) == -EINVAL)
		return not_a_number(src, key, k->units, error);
	units_parse(k->min, k->units, &min);
	units_parse(k->max, k->units, &max);
	if ((value >= min && value <= max) || (!value && k->or_zero))
		return 0;
	return policy_fail_at(error, src, key->value, "%s: %s is out of range; it may be %s%s to %s", key->path, key->text,
			      k->or_zero ? "0, or " : "", k->min, k->max);
}

static int check_ports(const struct policy_source *src, const struct yaml_key *key, struct policy_error *error)
{
	__u32 first, last;

	if (!units_parse_ports(key->text, &first, &last))
		return 0;
	return policy_fail_at(error, src, key->value, "%s: '%s' is not a port, 1 to 65535, or a range such as 49152-49215",
			      key->path, key->text);
}

static int check_value(const struct policy_source *src, const struct yaml_key *key, const struct policy_key *k,
		       struct policy_error *error)
{
	if (key->kind != YAML_KIND_TEXT)
		return policy_fail_at(error, src, key->value, "%s: must be a single value", key->path);
	switch (k->type) {
	case POLICY_WORD:
		return check_word(src, key, k, error);
	case POLICY_PORTS:
		return check_ports(src, key, error);
	case POLICY_NUMBER:
		return check_number(src, key, k, error);
	default: /* or an entry of a list of strings */
		return check_string(src, key, k, error);
	}
}

static int check_key(const struct policy_section *const *sections, const struct policy_source *src, const struct yaml_key *key,
		     struct policy_error *error)
{
	struct policy_node node;

	if (!policy_find(sections, NULL, key->path, &node))
		return unknown_key(sections, src, key, error);
	if (!node.key)
		return check_section(src, key, error);
	if (node.entry && node.key->keys)
		return check_entry(src, key, error);
	if (node.key->type == POLICY_MAP)
		return check_section(src, key, error);
	if (node.key->type == POLICY_LIST && !node.entry)
		return check_list(src, key, node.key->entries_max, error);
	return check_value(src, key, node.key, error);
}

/*
 * In the order of the file, so what a key is in was found good before. What an entry lacks is looked at last: it may
 * just be misspelt.
 */
int policy_check(const struct policy_section *const *sections, const struct policy_source *src, struct policy_error *error)
{
	struct policy_node node;
	int err = 0;

	for (size_t i = 0; i < src->index.nr && !err; i++)
		err = check_key(sections, src, &src->index.keys[i], error);
	for (size_t i = 0; i < src->index.nr && !err; i++)
		if (policy_find(sections, NULL, src->index.keys[i].path, &node) && node.entry && node.key->keys)
			err = check_needs(src, &src->index.keys[i], node.key, error);
	return err;
}
