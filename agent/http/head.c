// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/http/head.h"

static bool is_letter_or_digit(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Of a method or of a header's name (RFC 9110, 5.6.2). */
static size_t token_len(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && (is_letter_or_digit((unsigned char)line[n]) || (line[n] && strchr("!#$%&'*+-.^_`|~", line[n]))))
		n++;
	return n;
}

/* Just the form that starts with a slash: an absolute URI is for proxies. */
static size_t target_len(const char *line, size_t len)
{
	size_t n = 0;

	if (!len || line[0] != '/')
		return 0;
	while (n < len && line[n] > ' ' && line[n] < 0x7f)
		n++;
	return memmem(line, n, "%00", 3) ? 0 : n;
}

static bool good_request_line(const char *line, size_t len)
{
	size_t n = token_len(line, len);

	if (!n || n == len || line[n] != ' ')
		return false;
	line += n + 1;
	len -= n + 1;
	n = target_len(line, len);
	if (!n)
		return false;
	line += n;
	len -= n;
	return len == 9 && (!memcmp(line, " HTTP/1.1", 9) || !memcmp(line, " HTTP/1.0", 9));
}

/* A folded line begins with a space, so it has no name. */
static bool good_header(const char *line, size_t len)
{
	size_t n = token_len(line, len);

	return n && n < len && line[n] == ':';
}

ssize_t http_head(const char *text, size_t len)
{
	size_t start = 0; /* of this line */

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool after_cr = i && text[i - 1] == '\r';

		if (after_cr != (c == '\n'))
			return -EINVAL;
		if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n'))
			return -EINVAL;
		if (c != '\n')
			continue;
		if (start && i - start == 1)
			return (ssize_t)i + 1;
		if (!(start ? good_header : good_request_line)(text + start, i - 1 - start))
			return -EINVAL;
		start = i + 1;
	}
	return 0;
}
