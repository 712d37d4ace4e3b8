/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The keys of a policy: one table per section, in agent/policy/section.c, says their names and types. Checking
 * (agent/policy/check.c, with their limits) and reading, merging, freeing and showing (agent/policy/data.c) follow from it.
 */
#ifndef NESTOR_SECTION_H
#define NESTOR_SECTION_H

#include <stdbool.h>
#include <stddef.h>

#include <cyaml/cyaml.h>

#include "agent/policy/policy.h"
#include "agent/lib/yaml_index.h"

/* One file of a policy. */
struct policy_source {
	const char *name; /* for messages */
	struct yaml_index index;
};

#define POLICY_DEVICE_LEN_MAX 31 /* bytes of a disk's name: DISK_NAME_LEN less the NUL */

extern const cyaml_schema_value_t policy_schema; /* of struct policy */

/*
 * "net.limits[1].egress" -> what is there; NULL for a name that no key has. *@data goes from the policy to the value,
 * unless it is NULL.
 */
const cyaml_schema_value_t *policy_find(const char *path, char **data);

/* From one entry of a list to the next, in bytes. */
size_t policy_stride(const cyaml_schema_value_t *entry);

/* Fills @error in and returns @err. */
int policy_fail(struct policy_error *error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, as NAME:LINE:COLUMN: …; returns -EINVAL. */
int policy_fail_at(struct policy_error *error, const struct policy_source *src, struct yaml_place place, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Are all keys of @src's index known, and their values good? 0 or -EINVAL, with @error filled in. */
int policy_check(const struct policy_source *src, struct policy_error *error);

/* Is @path, "blkio.mode" or "net.limits", a key that can be set in one file only? */
bool policy_is_setting(const char *path);

/* @text, whose index is checked, as a policy that has nothing but the keys of @src. 0 or -errno, with @error filled in. */
int policy_parse(const struct policy_source *src, const char *text, size_t len, struct policy **ret,
		 struct policy_error *error);

/* All of the above: @text over @into. 0, or -errno with @error filled in and @into as it was. For tests, too. */
int policy_read_text(struct policy_source *src, const char *text, size_t len, struct policy *into, struct policy_error *error);

/* Exchanges the settings that @index has, and no other, between @to and @from. A list is exchanged as a whole. */
void policy_overlay(struct policy *to, struct policy *from, const struct yaml_index *index);

#endif
