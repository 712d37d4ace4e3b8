// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "agent/ctl/table.h"

#define CELL_MAX 512
#define COLUMNS_MAX 16

/* Names of containers are other people's: no byte of them may steer a terminal. */
static void disarm(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* U+0080 to U+009F */

		if (*c < ' ' || *c == 0x7f || c1)
			*c = '?';
		if (c1)
			*++c = '?';
	}
}

/* Words with commas between them, such as the taps of a VM. */
static void join(const json_t *list, char *text, size_t size)
{
	const json_t *entry;
	size_t i, len = 0;

	text[0] = '\0';
	json_array_foreach (list, i, entry) {
		snprintf(text + len, size - len, "%s%s", i ? "," : "", json_string_value(entry) ?: "");
		len = strlen(text);
	}
}

static void cell_text(const json_t *value, char *text, size_t size)
{
	if (json_is_array(value))
		join(value, text, size);
	else if (json_is_string(value))
		snprintf(text, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, size, "%.6f", json_real_value(value));
	else if (json_is_null(value))
		snprintf(text, size, "-");
	else
		snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
	disarm(text);
}

static void print_rows(const json_t *list, const size_t *widths, int indent)
{
	const json_t *row, *value;
	char text[CELL_MAX];
	const char *key;
	size_t i;

	json_array_foreach (list, i, row) {
		size_t column = 0;

		printf("%*s", indent, "");
		json_object_foreach ((json_t *)row, key, value) {
			if (column == COLUMNS_MAX)
				break;
			cell_text(value, text, sizeof(text));
			printf(json_is_number(value) ? "%*s  " : "%-*s  ", (int)widths[column], text);
			column++;
		}
		putchar('\n');
	}
}

/* An array of flat objects with the same keys. */
static void print_table(const json_t *list, int indent)
{
	size_t widths[COLUMNS_MAX] = {}, i, column;
	const json_t *row, *value;
	char text[CELL_MAX];
	const char *key;

	json_array_foreach (list, i, row) {
		column = 0;
		json_object_foreach ((json_t *)row, key, value) {
			size_t len = strlen(key), text_len;

			cell_text(value, text, sizeof(text));
			text_len = strlen(text);
			len = len > text_len ? len : text_len;
			if (column < COLUMNS_MAX && len > widths[column])
				widths[column] = len;
			column++;
		}
	}
	column = 0;
	printf("%*s", json_array_size(list) ? indent : 0, "");
	json_object_foreach (json_array_get(list, 0), key, value) {
		if (column == COLUMNS_MAX)
			break;
		printf(json_is_number(value) ? "%*s  " : "%-*s  ", (int)widths[column], key);
		column++;
	}
	if (column)
		putchar('\n');
	print_rows(list, widths, indent);
}

/* An array of values or flat objects, each in a line. */
static void print_lines(const json_t *list, int indent)
{
	const json_t *entry, *value;
	char text[CELL_MAX];
	const char *key;
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *before = "- ";

		printf("%*s", indent, "");
		json_object_foreach ((json_t *)entry, key, value) {
			cell_text(value, text, sizeof(text));
			printf("%s%s: %s", before, key, text);
			before = ", ";
		}
		if (!json_is_object(entry)) {
			cell_text(entry, text, sizeof(text));
			printf("%s%s", before, text);
		}
		putchar('\n');
	}
}

static void print_object(const json_t *object, int indent);

static bool is_flat(const json_t *list)
{
	const json_t *value;
	const char *key;

	json_object_foreach (json_array_get(list, 0), key, value)
		if (json_is_object(value) || json_is_object(json_array_get(value, 0)))
			return false;
	return true;
}

/* Those of a policy have what they were given, each something else. */
static bool has_same_keys(const json_t *list)
{
	const json_t *first = json_array_get(list, 0), *entry, *value;
	const char *key;
	size_t i;

	json_array_foreach (list, i, entry) {
		if (!json_is_object(entry) || json_object_size(entry) != json_object_size(first))
			return false;
		json_object_foreach ((json_t *)entry, key, value)
			if (!json_object_get(first, key))
				return false;
	}
	return true;
}

/* A table, or lines, or, of what has parts of its own, one after the other with a line between them. */
static void print_list(const json_t *list, int indent)
{
	const json_t *entry;
	size_t i;

	if (is_flat(list) && has_same_keys(list)) {
		print_table(list, indent);
	} else if (is_flat(list)) {
		print_lines(list, indent);
	} else {
		json_array_foreach (list, i, entry) {
			if (i)
				putchar('\n');
			print_object(entry, indent);
		}
	}
}

static void print_object(const json_t *object, int indent)
{
	const json_t *value;
	char text[512];
	const char *key;

	json_object_foreach ((json_t *)object, key, value) {
		if (json_is_object(value)) {
			printf("%*s%s:\n", indent, "", key);
			print_object(value, indent + 2);
			continue;
		}
		if (json_is_array(value)) {
			printf("%*s%s:%s\n", indent, "", key, json_array_size(value) ? "" : " []");
			print_list(value, indent + 2);
			continue;
		}
		cell_text(value, text, sizeof(text));
		printf("%*s%s: %s\n", indent, "", key, text);
	}
}

void ctl_print(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	if (json_is_array(json))
		print_list(json, 0);
	else if (json_is_object(json))
		print_object(json, 0);
	else
		fputs(text, stdout);
	json_decref(json);
}
