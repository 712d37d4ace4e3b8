// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/top_columns.h"

static const struct top_column names[] = {
	{ .key = "vm", .title = "VM", .json = "vm" },
	{ .key = "container", .title = "CONTAINER", .json = "container" },
};

static bool add(struct top_table *table, const struct top_column *columns, int nr, const char *room)
{
	struct top_column *all = reallocarray(table->columns, (size_t)table->nr + (size_t)nr + 1, sizeof(*all));

	if (!all)
		return false;
	table->columns = all;
	for (int i = 0; i < nr; i++) {
		all[table->nr] = columns[i];
		all[table->nr++].room = room;
	}
	return true;
}

static int count(const struct top_column *columns)
{
	int nr = 0;

	while (columns && columns[nr].key)
		nr++;
	return nr;
}

/* The noun whose columns follow: the next at the same place, else the first at the next place. */
static const struct ctl_noun *next(const struct ctl_noun *const *nouns, const struct ctl_noun *last)
{
	const struct ctl_noun *best = NULL;
	bool behind = false;

	for (; *nouns; nouns++)
		for (const struct ctl_noun *n = *nouns; n; n = n->also) {
			if (n->columns && (!last || n->place > last->place || (behind && n->place == last->place)) &&
			    (!best || n->place < best->place))
				best = n;
			behind |= n == last;
		}
	return best;
}

struct top_table *top_table_new(const struct ctl_noun *const *nouns, const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	struct top_table *table = calloc(1, sizeof(*table));
	const struct ctl_noun *one = NULL;
	bool done = table != NULL;

	if (done && verb && verb->columns)
		done = add(table, verb->columns, count(verb->columns), noun->name);
	else
		while (done && (one = next(nouns, one)))
			done = add(table, one->columns, count(one->columns), one->name);
	if (done && add(table, names, 2, "")) {
		table->nr -= 2;
		return table;
	}
	top_table_free(table);
	return NULL;
}

void top_table_free(struct top_table *table)
{
	if (table)
		free(table->columns);
	free(table);
}

int top_find_key(const struct top_table *table, const char *key)
{
	for (int i = 0; i < top_keys(table); i++)
		if (!strcmp(table->columns[i].key, key))
			return i;
	return -1;
}

int top_default_key(const struct top_table *table)
{
	for (int i = 0; i < table->nr; i++)
		if (table->columns[i].is_default)
			return i;
	return top_container(table);
}
