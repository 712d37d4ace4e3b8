/* SPDX-License-Identifier: GPL-2.0 */
/* A string that grows. A failed allocation marks it: check buf.failed once, at the end. */
#ifndef NESTOR_BUF_H
#define NESTOR_BUF_H

#include <stdbool.h>
#include <stddef.h>

#define PUT_U64_MAX 20

struct buf {
	char *text; /* ends in NUL once something was added */
	size_t len;
	size_t cap;
	bool failed;
};

void buf_free(struct buf *b);
void buf_clear(struct buf *b);
void buf_reuse(struct buf *b); /* the same, but gives back most of what the text did not need */
void buf_add(struct buf *b, const char *text, size_t len);
char *buf_room(struct buf *b, size_t most); /* where that many bytes may be written; NULL: no memory */
void buf_wrote(struct buf *b, const char *end); /* up to there, and adds the NUL */
void buf_str(struct buf *b, const char *text);
void buf_u64(struct buf *b, unsigned long long v);
char *buf_put_u64(char *to, unsigned long long v); /* up to PUT_U64_MAX digits, no NUL; returns their end */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
