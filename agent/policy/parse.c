// SPDX-License-Identifier: GPL-2.0
/*
 * From text to structs. libcyaml knows no units, and wants tables of its own: of a policy's keys it reads strings and lists,
 * and passes over all others, which are read here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "agent/lib/yaml_load.h"
#include "agent/policy/internal.h"

/* ---- tables for libcyaml ---- */

/* What is left of the memory for them. */
struct tables {
	cyaml_schema_field_t *fields;
	cyaml_schema_value_t *entries;
};

static void count_keys(const struct policy_key *keys, size_t *fields, size_t *lists)
{
	for (; keys->name; keys++) {
		++*fields;
		*lists += keys->type == POLICY_LIST;
		if (keys->keys)
			count_keys(keys->keys, fields, lists);
	}
	++*fields; /* the end */
}

static cyaml_schema_value_t mapping(const cyaml_schema_field_t *fields, size_t size, enum cyaml_flag flags)
{
	return (cyaml_schema_value_t){
		.type = CYAML_MAPPING, .flags = flags, .data_size = (uint32_t)size, .mapping.fields = fields
	};
}

static cyaml_schema_value_t string(const struct policy_key *key)
{
	return (cyaml_schema_value_t){ CYAML_VALUE_STRING(CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, char, 1, key->len_max) };
}

static const cyaml_schema_field_t *add_keys(struct tables *t, const struct policy_key *keys);

static cyaml_schema_value_t list(struct tables *t, const struct policy_key *key)
{
	cyaml_schema_value_t *entry = t->entries++;

	*entry = key->keys ? mapping(add_keys(t, key->keys), key->size, CYAML_FLAG_DEFAULT) : string(key);
	return (cyaml_schema_value_t){
		.type = CYAML_SEQUENCE,
		.flags = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER,
		.data_size = (uint32_t)key->size,
		.sequence = { .entry = entry, .max = key->entries_max },
	};
}

static const cyaml_schema_field_t *add_keys(struct tables *t, const struct policy_key *keys)
{
	cyaml_schema_field_t *first = t->fields;
	size_t nr = 0;

	while (keys[nr].name)
		nr++;
	t->fields += nr + 1;
	for (size_t i = 0; i < nr; i++) {
		const struct policy_key *key = &keys[i];
		cyaml_schema_field_t *f = &first[i];

		*f = (cyaml_schema_field_t){ .key = key->name, .data_offset = (uint32_t)key->offset };
		if (key->type == POLICY_LIST) {
			f->count_offset = (uint32_t)key->count_offset;
			f->count_size = sizeof(unsigned int);
			f->value = list(t, key);
		} else if (key->type == POLICY_STRING) {
			f->value = string(key);
		} else if (key->type == POLICY_MAP) {
			f->value = mapping(add_keys(t, key->keys), key->size, CYAML_FLAG_OPTIONAL);
		} else {
			f->value = (cyaml_schema_value_t){ .type = CYAML_IGNORE, .flags = CYAML_FLAG_OPTIONAL };
		}
	}
	return first;
}

static const cyaml_schema_field_t *add_sections(struct tables *t, const struct policy_section *const *sections, size_t nr)
{
	cyaml_schema_field_t *first = t->fields;

	t->fields += nr + 1;
	for (size_t i = 0; i < nr; i++)
		first[i] = (cyaml_schema_field_t){
			.key = sections[i]->name,
			.data_offset = (uint32_t)(offsetof(struct policy, data) + i * sizeof(void *)),
			.value = mapping(add_keys(t, sections[i]->keys), sections[i]->size,
					 CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER),
		};
	return first;
}

/* ---- into structs ---- */

static void set_number(const struct policy_node *node, __u64 value)
{
	if (node->key->size == sizeof(__u64))
		*(__u64 *)node->data = value;
	else
		*(__u32 *)node->data = (__u32)value;
}

static void set_word(const struct policy_node *node, const char *word)
{
	*(__u32 *)node->data = node->key->first + util_find_name(node->key->words, node->key->nr_words, word);
}

/* What libcyaml passed over; checked, so it can be read. */
static void fill(struct policy *policy, const struct yaml_index *index)
{
	for (const struct yaml_key *key = index->keys; key < index->keys + index->nr; key++) {
		struct policy_node node;
		__u64 value;

		if (!policy_find(policy->sections, policy->data, key->path, &node) || !node.key)
			continue;
		if (node.key->type == POLICY_WORD)
			set_word(&node, key->text);
		else if (node.key->type == POLICY_PORTS)
			units_parse_ports(key->text, (__u32 *)node.data, (__u32 *)node.data + 1);
		else if (node.key->type == POLICY_NUMBER && !units_parse(key->text, node.key->units, &value))
			set_number(&node, value);
	}
}

int policy_parse(const struct policy_section *const *sections, const struct policy_source *src, const char *text, size_t len,
		 struct policy **ret, struct policy_error *error)
{
	size_t nr = 0, nr_fields = 1, nr_lists = 1;
	_free_ cyaml_schema_field_t *fields = NULL;
	_free_ cyaml_schema_value_t *entries = NULL;
	cyaml_schema_value_t schema;
	struct yaml_place place;
	char why[256];

	for (; sections[nr]; nr++)
		count_keys(sections[nr]->keys, &nr_fields, &nr_lists);
	fields = calloc(nr_fields + nr, sizeof(*fields));
	entries = calloc(nr_lists, sizeof(*entries));
	if (!fields || !entries)
		return policy_fail(error, -ENOMEM, "%s: out of memory", src->name);
	schema = mapping(add_sections(&(struct tables){ fields, entries }, sections, nr),
			 sizeof(struct policy) + nr * sizeof(void *), CYAML_FLAG_POINTER);
	if (yaml_data(text, len, &schema, (void **)ret, &place, why))
		return policy_fail_at(error, src, place, "%s", why);
	(*ret)->sections = sections;
	fill(*ret, &src->index);
	return 0;
}
