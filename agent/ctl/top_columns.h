/* SPDX-License-Identifier: GPL-2.0 */
/* The columns of a table of top, from the tables of nouns. */
#ifndef NESTOR_CTL_TOP_COLUMNS_H
#define NESTOR_CTL_TOP_COLUMNS_H

#include "agent/ctl/noun.h"

/* The table that @verb of @noun shows; @verb NULL: that of all nouns. NULL: no memory. */
struct top_table *top_table_new(const struct ctl_noun *const *nouns, const struct ctl_noun *noun, const struct ctl_verb *verb);
void top_table_free(struct top_table *table);

/* The column of that key, or -1. */
int top_find_key(const struct top_table *table, const char *key);
/* What the table is sorted by unless the user says. */
int top_default_key(const struct top_table *table);

#endif
