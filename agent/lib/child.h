/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of the agent's own: this program, executed anew under another name (argv[0]), which is how its main() knows what
 * to be. A fresh program has a clean memory and an address space layout of its own.
 *
 * A child inherits the descriptors that it is given, standard error, and nothing else. No signal is blocked; those that the
 * parent ignores stay ignored. Whoever starts a child reaps it, with child_wait().
 */
#ifndef NESTOR_CHILD_H
#define NESTOR_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/* In place of a descriptor: */
enum {
	CHILD_NULL = -1, /* /dev/null */
	CHILD_SOCKET = -2, /* one end of a new pair of sockets, SOCK_SEQPACKET; the parent has the other one */
};

struct child {
	const char *const *argv, *const *envp; /* ended by NULL */
	const int *fds; /* @fds[i] is descriptor i of the child */
	unsigned int nr_fds; /* from 3 on: standard input, output and error are always given */
};

/*
 * Returns when the program runs: 0 with its process, and with the parent's end of CHILD_SOCKET in *@ret_socket, which is
 * closed on exec (NULL: no CHILD_SOCKET is given); or -errno, then there is no child.
 */
int child_start(const struct child *c, pid_t *ret_pid, int *ret_socket);

/*
 * For the child, once it has the user and the capabilities that it keeps, as to change these clears it: from now on @signal
 * ends it when the thread that started it ends. @fd: the child's end of a socket pair or pipe of the parent's.
 * 0; -ESRCH: the parent is gone already; -errno.
 */
int child_follow_parent(int signal, int fd);

/*
 * As fork(), for work that may be lost: no program is executed. The child gets @signal when the thread that forked it ends.
 */
pid_t child_fork(int signal);

/*
 * Waits at most @timeout_ms (-1: for ever) until @pid ends, and reaps it. 0 with what waitpid() says in *@ret_status, which
 * may be NULL; -ETIMEDOUT; -errno. Takes a descriptor of its own only to wait for a time.
 */
int child_wait(pid_t pid, int timeout_ms, int *ret_status);

/* SIGKILL, also to a child that has become another user, which root may not signal without CAP_KILL. 0 or -errno. */
int child_kill(pid_t pid);

/*
 * As child_wait(), for a child that was told to end: one that has not after @timeout_ms, for example because it is stopped, is
 * killed. -ETIMEDOUT: not even that ended it in as much time again, because it sleeps in the kernel.
 */
int child_end(pid_t pid, int timeout_ms, int *ret_status);

#endif
