// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "agent/lib/prom_parse.h"

/* At a value's first character; undoes \\, \" and \n, and ends it. What follows, or NULL if it does not end. */
static char *cut_value(char *text)
{
	char *to = text;

	for (; *text && *text != '"'; text++) {
		if (*text == '\\' && text[1])
			*to++ = *++text == 'n' ? '\n' : *text;
		else
			*to++ = *text;
	}
	if (!*text)
		return NULL;
	*to = '\0';
	return text + 1;
}

/* At '{'. What follows '}', or NULL if this is no list of labels, or too long. */
static char *cut_labels(char *text, struct prom_sample *s)
{
	while (*text == '{' || *text == ',') {
		char *name = text + 1, *equals;

		if (*name == '}')
			return name + 1;
		equals = strstr(name, "=\"");
		if (!equals || s->nr_labels == PROM_LABELS_MAX)
			return NULL;
		*equals = '\0';
		text = cut_value(equals + 2);
		if (!text)
			return NULL;
		s->labels[s->nr_labels].name = name;
		s->labels[s->nr_labels++].value = equals + 2;
	}
	return *text == '}' ? text + 1 : NULL;
}

static bool parse_line(char *line, struct prom_sample *s)
{
	char *pos = line + strcspn(line, "{ "), *end;

	*s = (struct prom_sample){ .name = line };
	if (pos == line || !*pos)
		return false;
	if (*pos == '{') {
		end = cut_labels(pos, s);
		if (!end || *end != ' ')
			return false;
		*pos = '\0';
		pos = end;
	}
	*pos++ = '\0';
	strtod(pos, &end);
	s->value = pos;
	return end > pos && !*end;
}

bool prom_next(char **pos, struct prom_sample *ret)
{
	char *line;

	while ((line = strsep(pos, "\n")))
		if (*line != '#' && parse_line(line, ret))
			return true;
	return false;
}

const char *prom_label(const struct prom_sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->nr_labels; i++)
		if (!strcmp(sample->labels[i].name, name))
			return sample->labels[i].value;
	return "";
}
