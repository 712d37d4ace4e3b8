// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "agent/ctl/top_cell.h"

static void metric_number(double value, char *text, size_t size)
{
	static const char prefixes[] = { '\0', 'k', 'M', 'G', 'T', 'P', 'E' };
	unsigned int i = 0;

	for (; value >= 999.5 && i < sizeof(prefixes) - 1; i++)
		value /= 1000;
	snprintf(text, size, "%.*f%.1s", value < 9.95 && value > 0 ? 1 : 0, value, &prefixes[i]);
}

static void seconds(double value, char *text, size_t size)
{
	const char *unit = value < 0.9995e-3 ? "us" : value < 0.9995 ? "ms" : "s";
	double scaled = value * (value < 0.9995e-3 ? 1e6 : value < 0.9995 ? 1e3 : 1);

	snprintf(text, size, "%.*f%s", scaled < 9.95 ? 1 : 0, scaled, unit);
}

void top_number(enum top_unit unit, double value, char *text, size_t size)
{
	if (isnan(value))
		snprintf(text, size, "-");
	else if (unit == TOP_SECONDS)
		seconds(value, text, size);
	else if (unit == TOP_RATIO)
		snprintf(text, size, "%.1f", 100 * value);
	else
		metric_number(value, text, size);
}

void top_name(const char *name, int columns, char *text, size_t size, int *ret_columns)
{
	mbstate_t state = {};
	int used = 0;

	while (*name) {
		wchar_t c;
		size_t len = mbrtowc(&c, name, strlen(name), &state);
		int width = len <= strlen(name) ? wcwidth(c) : -1;
		const char *from = name;

		if (len > strlen(name)) {
			state = (mbstate_t){};
			len = 1;
		}
		name += len;
		if (width <= 0) {
			from = "?";
			len = width = 1;
		}
		if (used + width > columns || len >= size)
			break;
		memcpy(text, from, len);
		text += len;
		size -= len;
		used += width;
	}
	*text = '\0';
	*ret_columns = used;
}
