// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "agent/policy/section.h"
#include "agent/lib/units.h"
#include "agent/lib/yaml_load.h"

/* ---- into structs ---- */

/* What libcyaml passed over; checked, so it can be read. */
static void fill(struct policy *policy, const struct yaml_index *index)
{
	for (const struct yaml_key *key = index->keys; key < index->keys + index->nr; key++) {
		char *data = (char *)policy;
		const cyaml_schema_value_t *v = policy_find(key->path, &data);

		if (!v || v->type != CYAML_IGNORE)
			continue;
		if (v->enumeration.strings)
			units_parse(key->text, v->enumeration.strings, (__u64 *)data);
		else
			units_parse_ports(key->text, (__u32 *)data, (__u32 *)data + 1);
	}
}

int policy_parse(const struct policy_source *src, const char *text, size_t len, struct policy **ret, struct policy_error *error)
{
	struct yaml_place place;
	char why[256];

	if (yaml_data(text, len, &policy_schema, (void **)ret, &place, why))
		return policy_fail_at(error, src, place, "%s", why);
	fill(*ret, &src->index);
	return 0;
}

void policy_free(struct policy *policy)
{
	yaml_data_free(&policy_schema, policy);
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

static void exchange_field(char *a, char *b, const cyaml_schema_field_t *f)
{
	bool list = f->value.type == CYAML_SEQUENCE;

	exchange(a + f->data_offset, b + f->data_offset, list ? sizeof(void *) : f->value.data_size);
	if (list)
		exchange(a + f->count_offset, b + f->count_offset, f->count_size);
}

void policy_overlay(struct policy *to, struct policy *from, const struct yaml_index *index)
{
	for (const cyaml_schema_field_t *s = policy_schema.mapping.fields; s->key; s++) {
		for (const cyaml_schema_field_t *f = s->value.mapping.fields; f->key; f++) {
			char path[YAML_PATH_MAX];

			snprintf(path, sizeof(path), "%s.%s", s->key, f->key);
			if (yaml_find(index, path))
				exchange_field((char *)to + s->data_offset, (char *)from + s->data_offset, f);
		}
	}
}

/* ---- showing it ---- */

static json_t *word_to_json(const cyaml_schema_value_t *v, __u32 value)
{
	for (uint32_t i = 0; i < v->enumeration.count; i++)
		if (v->enumeration.strings[i].val == value)
			return json_string(v->enumeration.strings[i].str);
	return json_null();
}

static json_t *ports_to_json(const __u32 *ports)
{
	return ports[1] ? json_sprintf("%u-%u", ports[0], ports[1]) : json_integer(ports[0]);
}

static json_t *value_to_json(const cyaml_schema_value_t *v, const void *data)
{
	if (v->flags & CYAML_FLAG_POINTER)
		data = *(void *const *)data;
	if (v->type == CYAML_STRING)
		return json_string(data);
	if (v->type == CYAML_ENUM)
		return word_to_json(v, *(const __u32 *)data);
	if (v->type == CYAML_IGNORE && !v->enumeration.strings)
		return ports_to_json(data);
	if (v->data_size == sizeof(__u64))
		return json_integer((json_int_t) * (const __u64 *)data);
	return json_integer(*(const __u32 *)data);
}

/* In an entry of a list, NULL and 0 are what was not given; but the first word of an enum is 0 too. */
static bool is_given(const cyaml_schema_value_t *v, const void *data)
{
	if (v->flags & CYAML_FLAG_POINTER)
		return *(void *const *)data;
	return v->type == CYAML_ENUM || *(const __u32 *)data || (v->data_size == sizeof(__u64) && *(const __u64 *)data);
}

static json_t *entry_to_json(const cyaml_schema_value_t *v, const char *data)
{
	json_t *entry;

	if (v->type != CYAML_MAPPING)
		return value_to_json(v, data);
	entry = json_object();
	for (const cyaml_schema_field_t *f = v->mapping.fields; f->key; f++)
		if (is_given(&f->value, data + f->data_offset))
			json_object_set_new(entry, f->key, value_to_json(&f->value, data + f->data_offset));
	return entry;
}

static json_t *field_to_json(const cyaml_schema_field_t *f, const char *section)
{
	const cyaml_schema_value_t *entry;
	const char *data;
	json_t *list;

	if (f->value.type != CYAML_SEQUENCE)
		return value_to_json(&f->value, section + f->data_offset);
	entry = f->value.sequence.entry;
	data = *(char *const *)(section + f->data_offset);
	list = json_array();
	for (unsigned int n = *(const unsigned int *)(section + f->count_offset); n; n--) {
		json_array_append_new(list, entry_to_json(entry, data));
		data += policy_stride(entry);
	}
	return list;
}

json_t *policy_to_json(const struct policy *policy)
{
	json_t *all = json_object();

	for (const cyaml_schema_field_t *s = policy_schema.mapping.fields; s->key; s++) {
		json_t *section = json_object();

		for (const cyaml_schema_field_t *f = s->value.mapping.fields; f->key; f++)
			json_object_set_new(section, f->key, field_to_json(f, (const char *)policy + s->data_offset));
		json_object_set_new(all, s->key, section);
	}
	return all;
}
