/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How nestord hands a text to another process, httpd or nestorctl: a status and a sealed memfd with the
 * text. The sender never waits for the receiver to read, and the receiver cannot change the bytes.
 */
#ifndef NESTOR_REPLY_H
#define NESTOR_REPLY_H

#include <stddef.h>

/* Sends @status (0 or -errno) and @len bytes of @text. 0 or -errno. Does not block. */
int reply_send(int sock, int status, const char *text, size_t len);

/*
 * Waits at most @timeout_ms for a reply. 0, with *@ret_fd for the caller to close (offset 0) and its size;
 * -ETIMEDOUT; -ECONNRESET if the sender is gone.
 */
int reply_recv(int sock, int timeout_ms, int *ret_status, int *ret_fd, size_t *ret_len);

#endif
