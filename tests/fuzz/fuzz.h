/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzzers share. Each is one file, named by what it fuzzes, and has a line "max_len: BYTES" near its top; the Makefile
 * says which of the agent's files it is made of. tests/fuzz/run runs them.
 */
#ifndef NESTOR_FUZZ_H
#define NESTOR_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/utf8.h"
#include "agent/lib/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define MUST(condition)                                                                                                        \
	do {                                                                                                                   \
		if (!(condition)) {                                                                                            \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                         \
			abort();                                                                                               \
		}                                                                                                              \
	} while (0)

/* Input that is taken in pieces. */
struct input {
	const uint8_t *data;
	size_t len;
};

static inline uint8_t take_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

/* Up to @delimiter, which goes too, or the end: a string of just its size, so that ASan sees a byte too far. To be freed. */
static inline char *take_until(struct input *in, char delimiter)
{
	const uint8_t *end = in->len ? memchr(in->data, delimiter, in->len) : NULL;
	size_t len = end ? (size_t)(end - in->data) : in->len, taken = len + (end != NULL);
	char *text = malloc(len + 1);

	MUST(text);
	if (len)
		memcpy(text, in->data, len);
	text[len] = '\0';
	in->data += taken;
	in->len -= taken;
	return text;
}

static inline char *take_rest(struct input *in)
{
	char *text = malloc(in->len + 1);

	MUST(text);
	if (in->len)
		memcpy(text, in->data, in->len);
	text[in->len] = '\0';
	in->len = 0;
	return text;
}

static inline bool is_utf8(const char *text)
{
	size_t len;

	while ((len = utf8_len(text)))
		text += len;
	return !*text;
}

static inline bool has_control(const char *text)
{
	while (*text && !utf8_is_control(text))
		text++;
	return *text;
}

#endif
