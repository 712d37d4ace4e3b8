/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_UTF8_H
#define NESTOR_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at @s, a C string; 0 if it is none (overlong, surrogate, too large, cut), or at its end. */
size_t utf8_len(const char *s);

/* Is the character at @s one that controls a terminal: of ASCII, or U+0080 to U+009F? */
bool utf8_is_control(const char *s);

#endif
