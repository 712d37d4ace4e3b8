/* SPDX-License-Identifier: GPL-2.0 */
/* Sections of the policy as texts: what people read of them, and the built-in policy. */
#ifndef NESTOR_POLICY_YAML_H
#define NESTOR_POLICY_YAML_H

#include <stdio.h>

struct policy_key;
struct policy_section;

/* Every key at its default, with comments: policy.yaml. nestord reads this very text as the built-in policy. */
void policy_print_yaml(FILE *out, const struct policy_section *const *sections);

/* "off | monitor", or "size, 0 or 1MiB to 1TiB": what @key may be. */
void policy_print_values(FILE *out, const struct policy_key *key);

/* Of a list whose entries have keys: "An entry has …", what it needs. */
void policy_print_needs(FILE *out, const struct policy_key *list);

#endif
