/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_UTF8_H
#define NESTOR_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character at @s, a C string; 0 if it is none (overlong, surrogate, too large, cut), or at its end. */
size_t utf8_len(const char *s);

#endif
