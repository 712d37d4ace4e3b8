// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 512
 * The head of an HTTP request, as it comes from the network in pieces: a decision, once made, stays, and what is
 * accepted is what another reading of RFC 9112 accepts too. The first byte says where it is cut.
 */
#include <errno.h>

#include "agent/http/head.h"
#include "tests/fuzz/fuzz.h"

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", text[i]))
			return false;
	return len > 0;
}

static void check_request_line(const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	size_t method = space ? (size_t)(space - line) : 0, target = len - method - sizeof(" HTTP/1.1");

	MUST(is_token(line, method) && len > method + sizeof(" HTTP/1.1"));
	MUST(line[method + 1] == '/');
	MUST(!memchr(line + method + 1, ' ', target) && !memmem(line + method + 1, target, "%00", 3));
	for (size_t i = 0; i < target; i++)
		MUST((unsigned char)line[method + 1 + i] < 0x7f);
	MUST(!memcmp(line + len - 9, " HTTP/1.", 8) && (line[len - 1] == '0' || line[len - 1] == '1'));
}

static void check_header(const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);

	MUST(colon && is_token(line, (size_t)(colon - line)));
}

/* All @len bytes are one head. */
static void check_accepted(const char *text, size_t len)
{
	const char *line = text, *end = NULL;

	for (size_t i = 0; i < len; i++)
		MUST((unsigned char)text[i] >= ' ' || strchr("\t\r\n", text[i] ? text[i] : 1));
	for (; line < text + len; line = end + 2) {
		end = memmem(line, (size_t)(text + len - line), "\r\n", 2);
		MUST(end && !memchr(line, '\r', (size_t)(end - line)) && !memchr(line, '\n', (size_t)(end - line)));
		if (line == text)
			check_request_line(line, (size_t)(end - line));
		else if (line < end)
			check_header(line, (size_t)(end - line));
		else
			MUST(end + 2 == text + len);
	}
	MUST(len > 4 && !memcmp(text + len - 4, "\r\n\r\n", 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t cut = take_byte(&in);
	const char *text = (const char *)in.data;
	ssize_t all = http_head(text, in.len), part;

	cut = cut < in.len ? cut : in.len;
	part = http_head(text, cut);
	MUST(all == -EINVAL || (all >= 0 && (size_t)all <= in.len));
	if (part)
		MUST(all == part);
	else
		MUST(all <= 0 || (size_t)all > cut);
	if (all > 0) {
		check_accepted(text, (size_t)all);
		MUST(!http_head(text, (size_t)all - 1));
	}
	return 0;
}
