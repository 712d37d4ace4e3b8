/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_HEAD_H
#define NESTOR_HEAD_H

#include <sys/types.h>

/*
 * Looks at what has come of a request: its length up to and with the empty line if that is there and all
 * is well formed, 0 if more must come first, -EINVAL if it can only be refused. Stricter than
 * libmicrohttpd, which forgives a bare LF, a folded header and a NUL.
 */
ssize_t http_head(const char *text, size_t len);

#endif
