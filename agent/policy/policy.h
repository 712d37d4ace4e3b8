/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the operator wants, read from YAML: one section for the agent and one for each room. A room describes its section in
 * agent/<stem>/policy.c (see agent/policy/section.h) and reads it by policy_section(). A policy file overrides single keys.
 */
#ifndef NESTOR_POLICY_H
#define NESTOR_POLICY_H

#include <jansson.h>

struct policy;
struct policy_section;

enum policy_mode { MODE_OFF, MODE_MONITOR, MODE_ENFORCE };

/* file:line:column: what is wrong */
struct policy_error {
	char text[512];
};

/*
 * Reads @path, a file or a directory whose *.yaml files are read in the order of their names, over the
 * defaults; NULL gives the defaults. @sections, ended by a NULL, are those that there are; they outlive the policy. Files
 * must be regular, not links, owned by root or the caller and not writable by others. 0, or -errno with @error filled in
 * and *@ret_policy untouched. May sleep.
 */
int policy_load(const struct policy_section *const *sections, const char *path, struct policy **ret_policy,
		struct policy_error *error);
void policy_free(struct policy *policy);

json_t *policy_to_json(const struct policy *policy);

/* The struct that @section describes, as @policy has it. @section is one of those that the policy was loaded with. */
const void *policy_section(const struct policy *policy, const struct policy_section *section);

/* Its key "mode"; MODE_MONITOR if it has none. */
enum policy_mode policy_mode(const struct policy *policy, const struct policy_section *section);

#endif
