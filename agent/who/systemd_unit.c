// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <string.h>

#include "agent/who/systemd_unit.h"

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = c ? strchr(digits, c) : NULL;

	return digit ? (int)(digit - digits) : -1;
}

/* The character that \xHH at @text stands for; 0: there is none. */
static char escaped(const char *text)
{
	int high, low;

	if (text[0] != '\\' || text[1] != 'x')
		return '\0';
	high = hex_digit(text[2]);
	low = high < 0 ? -1 : hex_digit(text[3]);
	return low < 0 ? '\0' : (char)(high * 16 + low);
}

void systemd_unit_unescape(char *text)
{
	char *to = text;

	while (*text) {
		char c = escaped(text);

		*to++ = c ? c : *text;
		text += c ? 4 : 1;
	}
	*to = '\0';
}
