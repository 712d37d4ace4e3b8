// SPDX-License-Identifier: GPL-2.0
/* From a path to a key. */
#include <stdlib.h>
#include <string.h>

#include "agent/policy/internal.h"

const char *const policy_modes[POLICY_MODES] = { [MODE_OFF] = "off", [MODE_MONITOR] = "monitor", [MODE_ENFORCE] = "enforce" };

static bool is_named(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !strncmp(name, text, len);
}

static const struct policy_key *find_key(const struct policy_key *keys, const char *name, size_t len)
{
	for (; keys && keys->name; keys++)
		if (is_named(keys->name, name, len))
			return keys;
	return NULL;
}

static bool find_section(const struct policy_section *const *sections, void *const *data, const char *name, size_t len,
			 struct policy_node *ret)
{
	for (unsigned int i = 0; sections[i]; i++)
		if (is_named(sections[i]->name, name, len)) {
			*ret = (struct policy_node){ .section = sections[i], .data = data ? data[i] : NULL };
			return true;
		}
	return false;
}

const struct policy_key *policy_keys_below(const struct policy_node *node)
{
	if (!node->key)
		return node->section->keys;
	return node->entry || node->key->type == POLICY_MAP ? node->key->keys : NULL;
}

/* From a list to the entry of number @i. */
static bool enter_list(struct policy_node *node, size_t i)
{
	if (!node->key || node->key->type != POLICY_LIST || node->entry)
		return false;
	node->entry = true;
	if (node->data)
		node->data = *(char **)node->data + i * node->key->size;
	return true;
}

bool policy_find(const struct policy_section *const *sections, void *const *data, const char *path, struct policy_node *ret)
{
	struct policy_node node;
	size_t len = strcspn(path, ".[");

	if (!find_section(sections, data, path, len, &node))
		return false;
	for (path += len; *path; path += len) {
		if (*path == '[') {
			if (!enter_list(&node, strtoul(path + 1, NULL, 10)))
				return false;
			len = strcspn(path, "]") + 1;
			continue;
		}
		path++;
		len = strcspn(path, ".[");
		node.key = find_key(policy_keys_below(&node), path, len);
		node.entry = false;
		if (!node.key)
			return false;
		if (node.data)
			node.data += node.key->offset;
	}
	*ret = node;
	return true;
}

bool policy_is_setting(const struct policy_section *const *sections, const char *path)
{
	struct policy_node node;

	return !strchr(path, '[') && policy_find(sections, NULL, path, &node) && node.key;
}

const void *policy_section(const struct policy *policy, const struct policy_section *section)
{
	unsigned int i = 0;

	while (policy->sections[i] != section)
		i++;
	return policy->data[i];
}

enum policy_mode policy_mode(const struct policy *policy, const struct policy_section *section)
{
	const struct policy_key *mode = find_key(section->keys, "mode", strlen("mode"));
	const char *data = policy_section(policy, section);

	return mode ? *(const enum policy_mode *)(data + mode->offset) : MODE_MONITOR;
}
