/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One thread, one epoll loop. Everything that can happen is a source; whoever owns a file descriptor adds
 * it and is called when it can be read.
 */
#ifndef NESTOR_LOOP_H
#define NESTOR_LOOP_H

#include <stdbool.h>

#include <linux/types.h>

struct source {
	int fd;
	void (*ready)(struct source *s); /* fd can be read, or its other end is gone */
	void *data;
};

struct loop {
	int epoll;
	bool stop; /* set it to have loop_run() return */
};

int loop_open(struct loop *l); /* 0 or -errno */
void loop_close(struct loop *l);
int loop_run(struct loop *l); /* 0 once l->stop is set, or -errno, logged */

int loop_add(struct loop *l, struct source *s); /* 0 or -errno, logged */
/* The same, but @s is called only when the other end of its socket is closed for both directions. */
int loop_add_hangup(struct loop *l, struct source *s);
void loop_remove(struct loop *l, struct source *s); /* closes s->fd, and sets it to -1 */

/* A timerfd that expires first after @first_ns (0: not yet), then every @every_ns (0: once). -errno if there is none. */
int loop_timer_open(__u64 first_ns, __u64 every_ns);
void loop_timer_rearm(int fd, __u64 first_ns, __u64 every_ns);
void loop_timer_drain(int fd);

#endif
