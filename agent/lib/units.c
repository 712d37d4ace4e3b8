// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/lib/units.h"

#define PORT_MAX 65535
#define PORT_DIGITS 5

const cyaml_strval_t units_sizes[] = {
	{ "", 1 },
	{ "kB", 1000 },
	{ "MB", 1000000 },
	{ "GB", 1000000000 },
	{ "TB", 1000000000000 },
	{ "KiB", 1LL << 10 },
	{ "MiB", 1LL << 20 },
	{ "GiB", 1LL << 30 },
	{ "TiB", 1LL << 40 },
	{ NULL, 0 },
};

const cyaml_strval_t units_rates[] = {
	{ "", 1 }, { "kbit", 1000 }, { "Mbit", 1000000 }, { "Gbit", 1000000000 }, { "Tbit", 1000000000000 }, { NULL, 0 },
};

const cyaml_strval_t units_durations[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { NULL, 0 },
};

const cyaml_strval_t units_plain[] = {
	{ "", 1 },
	{ NULL, 0 },
};

/* How many digits @text starts with; 0 if they are no number as one writes it. */
static size_t digits(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return text[0] == '0' && len > 1 ? 0 : len;
}

int units_parse(const char *text, const cyaml_strval_t *units, __u64 *ret_value)
{
	size_t len = digits(text);
	__u64 value = 0;
	bool over = false;

	while (units->str && strcmp(units->str, text + len))
		units++;
	if (!len || !units->str)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		over |= __builtin_mul_overflow(value, 10ULL, &value) ||
			__builtin_add_overflow(value, (__u64)(text[i] - '0'), &value);
	if (over || __builtin_mul_overflow(value, (__u64)units->val, &value))
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* One port at the start of @text; returns what follows it, or NULL. */
static const char *parse_port(const char *text, __u32 *ret_port)
{
	size_t len = digits(text);
	__u32 port = 0;

	if (len > PORT_DIGITS)
		return NULL;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (__u32)(text[i] - '0');
	*ret_port = port;
	return port && port <= PORT_MAX ? text + len : NULL;
}

int units_parse_ports(const char *text, __u32 *ret_first, __u32 *ret_last)
{
	__u32 first, last = 0;
	const char *rest = parse_port(text, &first);

	if (rest && *rest == '-') {
		rest = parse_port(rest + 1, &last);
		if (last < first)
			return -EINVAL;
	}
	if (!rest || *rest)
		return -EINVAL;
	*ret_first = first;
	*ret_last = last;
	return 0;
}
