// SPDX-License-Identifier: GPL-2.0
/* Policies in memory: made, merged, shown, freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/internal.h"

struct policy *policy_new(const struct policy_section *const *sections)
{
	struct policy *p;
	size_t nr = 0;

	while (sections[nr])
		nr++;
	p = calloc(1, sizeof(*p) + nr * sizeof(p->data[0]));
	if (!p)
		return NULL;
	p->sections = sections;
	for (size_t i = 0; i < nr; i++) {
		p->data[i] = calloc(1, sections[i]->size);
		if (!p->data[i]) {
			policy_free(p);
			return NULL;
		}
	}
	return p;
}

static unsigned int *count_of(const struct policy_key *list, char *data)
{
	return (unsigned int *)(data + list->count_offset);
}

static void free_members(const struct policy_key *keys, char *data);

static void free_list(const struct policy_key *list, char *entries, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (list->keys)
			free_members(list->keys, entries + i * list->size);
		else
			free(((char **)entries)[i]);
	free(entries);
}

static void free_members(const struct policy_key *keys, char *data)
{
	for (; keys->name; keys++)
		if (keys->type == POLICY_LIST)
			free_list(keys, *(char **)(data + keys->offset), *count_of(keys, data));
		else if (keys->type == POLICY_MAP)
			free_members(keys->keys, data + keys->offset);
		else if (keys->type == POLICY_STRING)
			free(*(char **)(data + keys->offset));
}

void policy_free(struct policy *p)
{
	for (unsigned int i = 0; p && p->sections[i]; i++) {
		if (p->data[i])
			free_members(p->sections[i]->keys, p->data[i]);
		free(p->data[i]);
	}
	free(p);
}

/* ---- merging ---- */

static void exchange(char *a, char *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

static void exchange_member(char *a, char *b, const struct policy_key *key)
{
	bool list = key->type == POLICY_LIST;

	exchange(a + key->offset, b + key->offset, list ? sizeof(void *) : key->size);
	if (list)
		exchange((char *)count_of(key, a), (char *)count_of(key, b), sizeof(unsigned int));
}

void policy_overlay(struct policy *to, struct policy *from, const struct yaml_index *index)
{
	for (unsigned int i = 0; to->sections[i]; i++) {
		for (const struct policy_key *key = to->sections[i]->keys; key->name; key++) {
			char path[YAML_PATH_MAX];

			snprintf(path, sizeof(path), "%s.%s", to->sections[i]->name, key->name);
			if (yaml_find(index, path))
				exchange_member(to->data[i], from->data[i], key);
		}
	}
}

/* ---- showing it ---- */

static json_t *ports_to_json(const __u32 *ports)
{
	return ports[1] ? json_sprintf("%u-%u", ports[0], ports[1]) : json_integer(ports[0]);
}

static __u64 number_at(const struct policy_key *key, const void *data)
{
	return key->size == sizeof(__u64) ? *(const __u64 *)data : *(const __u32 *)data;
}

static json_t *list_to_json(const struct policy_key *list, char *section);
static json_t *map_to_json(const struct policy_key *keys, char *structure);

static json_t *value_to_json(const struct policy_key *key, char *structure)
{
	const void *data = structure + key->offset;

	switch (key->type) {
	case POLICY_WORD:
		return json_string(key->words[*(const __u32 *)data - key->first]);
	case POLICY_STRING:
		return json_string(*(char *const *)data);
	case POLICY_PORTS:
		return ports_to_json(data);
	case POLICY_LIST:
		return list_to_json(key, structure);
	case POLICY_MAP:
		return map_to_json(key->keys, structure + key->offset);
	default:
		return json_integer((json_int_t)number_at(key, data));
	}
}

/* In an entry of a list. The first word of an enum is 0, too. */
static bool is_given(const struct policy_key *key, const char *entry)
{
	const void *data = entry + key->offset;

	switch (key->type) {
	case POLICY_WORD:
		return !key->first || *(const __u32 *)data;
	case POLICY_STRING:
		return *(char *const *)data;
	default:
		return number_at(key, data);
	}
}

static json_t *entry_to_json(const struct policy_key *keys, char *entry)
{
	json_t *object = json_object();

	for (; keys->name; keys++)
		if (is_given(keys, entry))
			json_object_set_new(object, keys->name, value_to_json(keys, entry));
	return object;
}

static json_t *list_to_json(const struct policy_key *list, char *section)
{
	char *entries = *(char **)(section + list->offset);
	json_t *array = json_array();

	for (unsigned int i = 0; i < *count_of(list, section); i++)
		json_array_append_new(array, list->keys ? entry_to_json(list->keys, entries + i * list->size)
							: json_string(((char **)entries)[i]));
	return array;
}

static json_t *map_to_json(const struct policy_key *keys, char *structure)
{
	json_t *object = json_object();

	for (; keys->name; keys++)
		json_object_set_new(object, keys->name, value_to_json(keys, structure));
	return object;
}

json_t *policy_to_json(const struct policy *p)
{
	json_t *all = json_object();

	for (unsigned int i = 0; p->sections[i]; i++)
		json_object_set_new(all, p->sections[i]->name, map_to_json(p->sections[i]->keys, p->data[i]));
	return all;
}
