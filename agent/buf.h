/* SPDX-License-Identifier: GPL-2.0 */
/* A string that grows. A failed allocation marks it: check buf.failed once, at the end. */
#ifndef NESTOR_BUF_H
#define NESTOR_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *text; /* ends in NUL once something was added */
	size_t len;
	size_t cap;
	bool failed;
};

void buf_free(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const char *text, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_u64(struct buf *b, unsigned long long v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
