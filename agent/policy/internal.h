/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of agent/policy share. Tests use it, too. */
#ifndef NESTOR_POLICY_INTERNAL_H
#define NESTOR_POLICY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/lib/yaml_index.h"
#include "agent/policy/policy.h"
#include "agent/policy/section.h"

/* A struct per section, each in memory of its own. In a policy that was parsed, NULL for sections that its text lacks. */
struct policy {
	const struct policy_section *const *sections;
	void *data[];
};

/* One file of a policy. */
struct policy_source {
	const char *name; /* for messages */
	struct yaml_index index;
};

/* What a path in a policy, such as "net.limits[1].egress", leads to. */
struct policy_node {
	const struct policy_section *section;
	const struct policy_key *key; /* NULL: the section itself */
	bool entry; /* an entry of the list @key */
	char *data; /* NULL where it was found without data */
};

/* All members 0: a policy without lists, which no file could say. NULL: no memory. */
struct policy *policy_new(const struct policy_section *const *sections);

/* False for a name that no key has. @data: of a policy that has what @path says; NULL: just the key is asked for. */
bool policy_find(const struct policy_section *const *sections, void *const *data, const char *path, struct policy_node *ret);

/* Keys that may follow after @node; NULL: none. */
const struct policy_key *policy_keys_below(const struct policy_node *node);

/* Fills @error in and returns @err. */
int policy_fail(struct policy_error *error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, as NAME:LINE:COLUMN: …; returns -EINVAL. */
int policy_fail_at(struct policy_error *error, const struct policy_source *src, struct yaml_place place, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Are all keys of @src's index known, and their values good? 0 or -EINVAL, with @error filled in. */
int policy_check(const struct policy_section *const *sections, const struct policy_source *src, struct policy_error *error);

/* Is @path, "blkio.mode" or "net.limits", a key that can be set in one file only? */
bool policy_is_setting(const struct policy_section *const *sections, const char *path);

/*
 * @text, whose index is checked, as a policy that has nothing but the keys of @src. 0 or -errno, with @error filled in.
 */
int policy_parse(const struct policy_section *const *sections, const struct policy_source *src, const char *text, size_t len,
		 struct policy **ret, struct policy_error *error);

/* All of the above: @text over @into. 0, or -errno with @error filled in and @into as it was. */
int policy_read_text(struct policy_source *src, const char *text, size_t len, struct policy *into, struct policy_error *error);

/* Exchanges the settings that @index has, and no other, between @to and @from. A list is exchanged as a whole. */
void policy_overlay(struct policy *to, struct policy *from, const struct yaml_index *index);

#endif
