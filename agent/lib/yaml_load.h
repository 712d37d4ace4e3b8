/* SPDX-License-Identifier: GPL-2.0 */
/* YAML into structs, by libcyaml, which is asked in one way everywhere. */
#ifndef NESTOR_YAML_LOAD_H
#define NESTOR_YAML_LOAD_H

#include <stddef.h>

#include <cyaml/cyaml.h>

#include "agent/lib/yaml_index.h"

/* 0; or -EINVAL with libcyaml's complaint, and the innermost place that it names ({ 0 }: none). Free with yaml_data_free(). */
int yaml_data(const char *text, size_t len, const cyaml_schema_value_t *schema, void **ret, struct yaml_place *ret_place,
	      char why[256]);
void yaml_data_free(const cyaml_schema_value_t *schema, void *data); /* NULL is fine */

#endif
