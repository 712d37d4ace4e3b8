// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent/policy/section.h"
#include "agent/policy/yaml.h"

#define WIDTH 120 /* of comments */

static const char head[] =
	"Nestor's policy: every key, at its default. This very text is built into nestord as the default policy.\n"
	"\n"
	"Put the keys that you want to change into /etc/nestor/policy.d/NAME.yaml: it is read again as soon as it is saved (or "
	"on "
	"SIGHUP). A file with any error changes nothing, and the log says file:line:column. `nestorctl policy check FILE` "
	"looks for "
	"errors without a daemon. nestor-policy(5) is the manual.\n"
	"\n"
	"A glob is a pattern as in fnmatch(3). Numbers of these kinds take a unit, without a space before it:\n";

/* ---- words ---- */

void policy_print_values(FILE *out, const struct policy_key *key)
{
	for (unsigned int i = 0; i < key->nr_words; i++)
		fprintf(out, "%s%s", i ? " | " : "", key->words[i]);
	if (key->what)
		fputs(key->what, out);
	if (key->max)
		fprintf(out, ", %s%s to %s", key->or_zero ? "0 or " : "", key->min, key->max);
}

void policy_print_needs(FILE *out, const struct policy_key *list)
{
	const struct {
		const char *how_many, *keys;
	} needs[] = { { "exactly one of ", list->one }, { "", list->all }, { "at least one of ", list->some } };
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (needs[i].keys) {
			fprintf(out, "%s%s%s", any ? "; " : "An entry has ", needs[i].how_many, needs[i].keys);
			any = true;
		}
	fputs(any ? "." : "", out);
}

/* ---- comments ---- */

/* One line of @text, wrapped, after @indent spaces. If it starts with spaces, what is wrapped starts with two more. */
static void print_wrapped(FILE *out, int indent, const char *text, size_t len)
{
	const char *end = text + len;
	int hang = (int)strspn(text, " "), column = fprintf(out, "%*s#%*s", indent, "", hang, "");

	for (text += hang; text < end; text += strspn(text, " ")) {
		size_t word = strcspn(text, " \n");

		if (column + 1 + (int)word > WIDTH)
			column = fprintf(out, "\n%*s#%*s", indent, "", hang ? hang + 2 : 0, "");
		column += fprintf(out, " %.*s", (int)word, text);
		text += word;
	}
	fputc('\n', out);
}

static void print_comment(FILE *out, int indent, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		print_wrapped(out, indent, text, len);
		text += len + (text[len] == '\n');
	}
}

/* @text's lines, each after @prefix. */
static void print_lines(FILE *out, const char *prefix, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		fprintf(out, "%s%.*s\n", prefix, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void print_units(FILE *out, const char *kind, const cyaml_strval_t *units, const char *base)
{
	bool needed = units[0].str[0];

	fprintf(out, "#   %s:", kind);
	for (const cyaml_strval_t *u = units + !needed; u->str; u++)
		fprintf(out, " %s", u->str);
	fprintf(out, "%s%s\n", needed ? "" : "; without one, ", needed ? "" : base);
}

/* ---- keys ---- */

/* What it is, what it may be, and for a list the same of its entries' keys. */
static void print_about(FILE *out, const struct policy_key *key)
{
	fprintf(out, "%s\n", key->help);
	if (key->keys) {
		policy_print_needs(out, key);
	} else {
		fputs("Value: ", out);
		policy_print_values(out, key);
	}
	for (const struct policy_key *k = key->keys; k && k->name; k++) {
		fprintf(out, "\n  %s (", k->name);
		policy_print_values(out, k);
		fprintf(out, "): %s", k->help);
	}
	if (key->example)
		fputs("\nFor example:", out);
}

static void print_key(FILE *out, const struct policy_key *key)
{
	char *about = NULL;
	size_t len;
	FILE *text = open_memstream(&about, &len);

	if (!text)
		return;
	print_about(text, key);
	fclose(text);
	print_comment(out, 2, about);
	free_p(&about);
	if (key->example)
		print_lines(out, "  #   ", key->example);
	if (strchr(key->usual, '\n')) {
		fprintf(out, "  %s:\n", key->name);
		print_lines(out, "    ", key->usual);
	} else {
		fprintf(out, "  %s: %s\n", key->name, key->usual);
	}
}

void policy_print_yaml(FILE *out, const struct policy_section *const *sections)
{
	print_comment(out, 0, head);
	print_units(out, "size", units_sizes, "bytes");
	print_units(out, "rate", units_rates, "bits a second");
	print_units(out, "duration", units_durations, "");
	for (; *sections; sections++) {
		fputc('\n', out);
		print_comment(out, 0, (*sections)->help);
		fprintf(out, "%s:\n", (*sections)->name);
		for (const struct policy_key *key = (*sections)->keys; key->name; key++) {
			if (key != (*sections)->keys)
				fputc('\n', out);
			print_key(out, key);
		}
	}
}
