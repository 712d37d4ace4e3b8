// SPDX-License-Identifier: GPL-2.0
/*
 * Run by make: what is made of the tables of keys. "yaml" prints policy.yaml; a file is a page in mdoc(7), which is printed
 * with the keys in the place of the line @KEYS@.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/section.h"
#include "agent/policy/yaml.h"
#include "agent/sections.h"

/* Sentences as text of mdoc, a line each; what would be a request or an escape is not. */
static void print_text(const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && *text == ' ')
			continue;
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		line_start = (*text == '.' || *text == '?') && text[1] == ' ';
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
		if (line_start)
			putchar('\n');
	}
	putchar('\n');
}

static void print_needs(const struct policy_key *list)
{
	_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	policy_print_needs(out, list);
	fclose(out);
	if (*text)
		print_text(text);
}

static void print_usual(const struct policy_key *key)
{
	if (strchr(key->usual, '\n'))
		printf("Default:\n.Bd -literal -offset indent -compact\n%s.Ed\n", key->usual);
	else
		printf("Default: %s.\n", key->usual);
}

static void print_example(const char *example)
{
	printf("For example:\n.Bd -literal -offset indent -compact\n%s.Ed\n", example);
}

static void print_keys(const struct policy_key *keys)
{
	puts(".Bl -tag -width Ds");
	for (; keys->name; keys++) {
		printf(".It Cm %s : %s ", keys->name, keys->type == POLICY_WORD ? "Cm" : "Ar");
		policy_print_values(stdout, keys);
		putchar('\n');
		print_text(keys->help);
		if (keys->keys)
			print_needs(keys);
		if (keys->usual)
			print_usual(keys);
		if (keys->example)
			print_example(keys->example);
		if (keys->keys)
			print_keys(keys->keys);
	}
	puts(".El");
}

static void print_sections(void)
{
	for (unsigned int i = 0; policy_sections[i]; i++) {
		printf(".Ss %s\n", policy_sections[i]->name);
		print_text(policy_sections[i]->help);
		print_keys(policy_sections[i]->keys);
	}
}

static int print_page(const char *path)
{
	FILE *page = fopen(path, "re");
	char line[1024];

	if (!page) {
		perror(path);
		return EXIT_FAILURE;
	}
	while (fgets(line, sizeof(line), page))
		if (!strcmp(line, "@KEYS@\n"))
			print_sections();
		else
			fputs(line, stdout);
	fclose(page);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("Usage: generate yaml | PAGE\n", stderr);
		return EXIT_FAILURE;
	}
	if (strcmp(argv[1], "yaml") != 0)
		return print_page(argv[1]);
	policy_print_yaml(stdout, policy_sections);
	return EXIT_SUCCESS;
}
