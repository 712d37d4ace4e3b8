/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One policy file as a list of the keys it sets, and of the entries of its lists, and where. It is made before libcyaml sees
 * the text and refuses what a policy has no use for: aliases, tags, a second document, a key given twice, deep nesting.
 */
#ifndef NESTOR_YAML_INDEX_H
#define NESTOR_YAML_INDEX_H

#include <stddef.h>

#define YAML_DEPTH_MAX 8
#define YAML_KEYS_MAX 6000 /* 500 entries of 10 keys, and more */
#define YAML_PATH_MAX 160
#define YAML_TEXT_MAX 48

struct yaml_place {
	size_t line, column; /* from 1 */
};

enum yaml_kind { YAML_KIND_TEXT, YAML_KIND_KEYS, YAML_KIND_LIST };

struct yaml_key {
	char path[YAML_PATH_MAX]; /* "blkio.mode"; of an entry of a list "net.limits[0]" */
	struct yaml_place key, value; /* the same in an entry */
	enum yaml_kind kind; /* of the value */
	char text[YAML_TEXT_MAX]; /* its beginning if it is text, with ? for what does not print */
	size_t len; /* of all the text, in bytes */
};

struct yaml_index {
	size_t nr;
	struct yaml_key keys[YAML_KEYS_MAX];
};

/*
 * Fills @ret_index from @text. 0 or -EINVAL, -ENOMEM, with what and where in @why and @ret_place.
 */
int yaml_index(const char *text, size_t len, struct yaml_index *ret_index, struct yaml_place *ret_place, char *why,
	       size_t why_size);

/* NULL if @path is not set. */
const struct yaml_key *yaml_find(const struct yaml_index *index, const char *path);

#endif
