// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "agent/ctl/top_columns.h"
#include "agent/ctl/usage.h"
#include "agent/lib/buf.h"
#include "agent/lib/util.h"

#define HELP_COLUMN 24
#define GAP 3 /* at least, between a command and its help */
#define WIDTH 98

static void print_entry(const char *entry, const char *help)
{
	int column = printf("  %s", entry);

	column += printf("%*s", column + GAP > HELP_COLUMN ? GAP : HELP_COLUMN - column, "");
	for (const char *space = ""; *help; space = " ") {
		int len = (int)strcspn(help, " ");

		if (*space && column + 1 + len > WIDTH) {
			column = printf("\n%*s", HELP_COLUMN, "") - 1;
			space = "";
		}
		column += printf("%s%.*s", space, len, help);
		help += len;
		help += *help == ' ';
	}
	putchar('\n');
}

static void print_verb(const struct ctl_noun *noun, const struct ctl_verb *v)
{
	char entry[128];

	snprintf(entry, sizeof(entry), "%s%s%s%s%s", noun->name, *v->name ? " " : "", v->name, v->args ? " " : "",
		 v->args ?: "");
	print_entry(entry, v->help);
}

/* Each room has that verb: it is there once. */
static bool print_show(const struct ctl_noun *noun)
{
	char help[128];

	if (noun->verbs->run != ctl_run_show)
		return false;
	snprintf(help, sizeof(help), "what a room has measured, e.g. %s show", noun->name);
	print_entry("ROOM show", help);
	return true;
}

static void add_keys(struct buf *help, const struct ctl *c, const struct ctl_noun *noun, const struct ctl_verb *v)
{
	struct top_table *table = top_table_new(c->nouns, noun, v);

	buf_printf(help, "%s%s%s%s:", help->len ? "; " : "", noun->name, *v->name ? " " : "", v->name);
	for (int i = 0; table && i < top_keys(table); i++)
		buf_printf(help, "%s%s", i ? ", " : " ", table->columns[i].key);
	if (table)
		buf_printf(help, " (%s)", table->columns[top_default_key(table)].key);
	top_table_free(table);
}

/* --sort has all columns of all tables. */
static void print_option(const struct ctl *c, const struct ctl_option *o)
{
	struct buf help = {};
	char entry[64];

	if (!o->help)
		ctl_for_each_noun (noun, c)
			for (const struct ctl_verb *v = noun->verbs; v->name; v++)
				if (v->run == ctl_run_top)
					add_keys(&help, c, noun, v);
	snprintf(entry, sizeof(entry), "--%s%s%s", o->name, o->arg ? " " : "", o->arg ?: "");
	print_entry(entry, o->help ?: help.text ?: "");
	buf_free(&help);
}

void ctl_usage(const struct ctl *c)
{
	bool has_show = false;

	puts("Usage: nestorctl [OPTION]… COMMAND\n");
	ctl_for_each_noun (noun, c) {
		has_show = has_show || print_show(noun);
		for (const struct ctl_verb *v = noun->verbs; v->name; v++)
			if (v->help)
				print_verb(noun, v);
	}
	putchar('\n');
	for (const struct ctl_option *o = c->options; o->name; o++)
		print_option(c, o);
	puts("\nExit status: 0 done, 1 refused or failed, 2 wrong arguments, 3 no agent answers.");
}
