// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 1024
 * The index of a policy file, on any bytes: it ends, stays in its bounds, and its places are in the text.
 */
#include "agent/lib/yaml_index.h"
#include "tests/fuzz/fuzz.h"

/* Are the keys of @index ordered as in the text, and is each called by its path? */
static void check_key(const struct yaml_index *index, size_t i, size_t size)
{
	const struct yaml_key *key = &index->keys[i], *before = i ? key - 1 : key;

	MUST(key->key.line && key->key.column && key->key.line <= size + 1 && key->key.column <= size + 1);
	MUST(key->value.line >= key->key.line && key->value.line <= size + 1);
	MUST(key->key.line > before->key.line || (key->key.line == before->key.line && key->key.column >= before->key.column));
	MUST(*key->path && !has_control(key->path) && !has_control(key->text) && strlen(key->text) <= key->len);
	MUST(key->kind == YAML_KIND_TEXT || !key->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct yaml_index index;
	struct yaml_place place;
	char why[256] = "";

	if (yaml_index((const char *)data, size, &index, &place, why, sizeof(why))) {
		MUST(why[0] && !has_control(why));
		MUST(place.line && place.column && place.line <= size + 1);
		return 0;
	}
	for (size_t i = 0; i < index.nr; i++)
		check_key(&index, i, size);
	if (index.nr)
		MUST(yaml_find(&index, index.keys[index.nr - 1].path) == &index.keys[index.nr - 1]);
	return 0;
}
