// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "agent/lib/json_text.h"

json_t *json_text(const char *text)
{
	json_t *json = json_string(text);
	char *ascii;

	if (json)
		return json;
	ascii = strdup(text);
	for (char *c = ascii; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	json = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return json;
}
