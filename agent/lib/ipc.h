/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How nestord hands a text to another process, httpd or nestorctl: a status and a sealed memfd with the
 * text. The sender never waits for the receiver to read, and the receiver cannot change the bytes. And how
 * nestorctl asks: with words, and maybe a file.
 */
#ifndef NESTOR_IPC_H
#define NESTOR_IPC_H

#include <stddef.h>
#include <sys/types.h>

#define IPC_TEXT_MAX ((size_t)64 << 20) /* bytes: above the metrics and the history of as many workloads as are shown */

/* A new memfd with @len bytes of @text that nobody can change any more, offset 0; or -errno. */
int ipc_memfd(const char *text, size_t len);

/*
 * 0 if @fd is a memfd of at most IPC_TEXT_MAX bytes that nobody can change any more, with its size in *@ret_len: to read it
 * never waits. Else -EBADMSG. Each descriptor that a peer sends is checked before it is read: a pipe, or a file on FUSE, would
 * have its reader wait for as long as the peer likes.
 */
int ipc_check_memfd(int fd, size_t *ret_len);

/* Messages of peers that were refused by this process: cut, with a wrong number or kind of descriptors, of a wrong size. */
unsigned long long ipc_refused(void);

/* Sends @status (0 or -errno) and @len bytes of @text, at most IPC_TEXT_MAX. 0 or -errno. Does not block. */
int ipc_send_reply(int sock, int status, const char *text, size_t len);

/*
 * Waits at most @timeout_ms for a reply. 0, with *@ret_fd, which ipc_check_memfd() accepts, for the caller to close, and its
 * size; -ETIMEDOUT; -EBADMSG; -ECONNRESET if the sender is gone.
 */
int ipc_recv_reply(int sock, int timeout_ms, int *ret_status, int *ret_fd, size_t *ret_len);

/* Sends @len bytes of words in one packet, and @fd with them unless it is -1. 0 or -errno. */
int ipc_send_request(int sock, const char *words, size_t len, int fd);

/*
 * A packet of at most @size bytes, and in *@ret_fd the descriptor that came with it, for the caller to check and close, or -1.
 * Returns its length, 0 if the sender is gone, or -errno: -EBADMSG if it was longer, or more came with it. Does not wait.
 */
ssize_t ipc_recv_request(int sock, char *words, size_t size, int *ret_fd);

#endif
