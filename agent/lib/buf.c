// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/buf.h"

void buf_free(struct buf *b)
{
	free(b->text);
	*b = (struct buf){};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/*
 * To get the memory of a large text from the kernel anew each time takes longer than to write it; to keep that of the
 * largest one for ever would be waste.
 */
void buf_reuse(struct buf *b)
{
	if (b->len < b->cap / 4)
		buf_free(b);
	buf_clear(b);
}

/* Makes room for @more bytes and a NUL. */
static bool buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *text;

	if (b->failed)
		return false;
	while (cap < b->len + more + 1)
		cap *= 2;
	if (cap == b->cap)
		return true;
	text = realloc(b->text, cap);
	if (!text) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const char *text, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	memcpy(b->text + b->len, text, len);
	b->len += len;
	b->text[b->len] = '\0';
}

void buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

char *buf_room(struct buf *b, size_t most)
{
	return buf_reserve(b, most) ? b->text + b->len : NULL;
}

void buf_wrote(struct buf *b, const char *end)
{
	b->len = (size_t)(end - b->text);
	b->text[b->len] = '\0';
}

/* A scrape is mostly integers: printf would be half of its cost. */
char *buf_put_u64(char *to, unsigned long long v)
{
	char digits[PUT_U64_MAX];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(to, digits + i, sizeof(digits) - i);
	return to + sizeof(digits) - i;
}

void buf_u64(struct buf *b, unsigned long long v)
{
	char *to = buf_room(b, PUT_U64_MAX);

	if (to)
		buf_wrote(b, buf_put_u64(to, v));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || !buf_reserve(b, (size_t)n))
		return;
	va_start(args, fmt);
	vsnprintf(b->text + b->len, (size_t)n + 1, fmt, args);
	va_end(args);
	b->len += (size_t)n;
}
