// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/lib/log.h"
#include "agent/lib/loop.h"
#include "agent/lib/util.h"

int loop_open(struct loop *l)
{
	*l = (struct loop){ .epoll = epoll_create1(EPOLL_CLOEXEC) };
	return l->epoll < 0 ? -errno : 0;
}

void loop_close(struct loop *l)
{
	close_p(&l->epoll);
	l->epoll = -1;
}

static int add(struct loop *l, struct source *s, __u32 events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &event))
		return log_error(-errno, "cannot wait for file descriptor %d: %m", s->fd);
	return 0;
}

int loop_add(struct loop *l, struct source *s)
{
	return add(l, s, EPOLLIN);
}

int loop_add_hangup(struct loop *l, struct source *s)
{
	return add(l, s, 0); /* EPOLLHUP is always told */
}

void loop_remove(struct loop *l, struct source *s)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	close(s->fd);
	s->fd = -1;
}

int loop_timer_open(__u64 first_ns, __u64 every_ns)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	loop_timer_rearm(fd, first_ns, every_ns);
	return fd;
}

static struct timespec to_timespec(__u64 ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

void loop_timer_rearm(int fd, __u64 first_ns, __u64 every_ns)
{
	struct itimerspec when = { .it_value = to_timespec(first_ns), .it_interval = to_timespec(every_ns) };

	timerfd_settime(fd, 0, &when, NULL);
}

void loop_timer_drain(int fd)
{
	__u64 expirations;

	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		log_warning("timer: %m");
}

/* One event at a time: a handler may remove any source, which must then not be called. */
int loop_run(struct loop *l)
{
	while (!l->stop) {
		struct epoll_event event;
		struct source *s;
		int n = epoll_wait(l->epoll, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return log_error(-errno, "epoll: %m");
		if (n <= 0)
			continue;
		s = event.data.ptr;
		s->ready(s);
	}
	return 0;
}
