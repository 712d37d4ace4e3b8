/* SPDX-License-Identifier: GPL-2.0 */
/* The process that made a connection to the broker's socket, as the kernel describes it. */
#ifndef NESTOR_GPUFN_PEER_H
#define NESTOR_GPUFN_PEER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct peer_process {
	uid_t uid;
	char cgroup[PATH_MAX]; /* from the mount of the hierarchy that containers are known by */
	/* It has a PID namespace of its own, or its cgroup's path has a component with the id that a container runtime gives.
	 */
	bool contained;
};

/*
 * @memory_v1: containers are known by the hierarchy of the memory controller. 0; -ESRCH: the process has ended, and what is
 * read of its number could be another one's; -errno.
 *
 * Before Linux 6.5 there is no SO_PEERPIDFD: a process that takes the number between connect() and accept() is taken for the
 * one that connected.
 */
int peer_process_look(int connection, bool memory_v1, struct peer_process *ret);

#endif
