// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "agent/bpfobj.h"
#include "agent/ctl.h"
#include "agent/http.h"
#include "agent/log.h"
#include "agent/reload.h"
#include "agent/selfstats.h"
#include "agent/util.h"

/* ---- sources ---- */

int agent_add_source(struct agent *a, struct source *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	if (epoll_ctl(a->epoll, EPOLL_CTL_ADD, s->fd, &event))
		return log_error(-errno, "cannot wait for file descriptor %d: %m", s->fd);
	return 0;
}

void agent_remove_source(struct agent *a, struct source *s)
{
	epoll_ctl(a->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	close(s->fd);
	s->fd = -1;
}

int agent_timer(__u64 first_ns, __u64 every_ns)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	agent_rearm_timer(fd, first_ns, every_ns);
	return fd;
}

static struct timespec to_timespec(__u64 ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

void agent_rearm_timer(int fd, __u64 first_ns, __u64 every_ns)
{
	struct itimerspec when = { .it_value = to_timespec(first_ns), .it_interval = to_timespec(every_ns) };

	timerfd_settime(fd, 0, &when, NULL);
}

void agent_drain_timer(int fd)
{
	__u64 expirations;

	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		log_warning("timer: %m");
}

/* ---- rooms ---- */

const char *agent_pin_dir(const struct agent *a)
{
	return a->opts.check ? NULL : a->opts.bpffs;
}

static void room_down(struct room_state *r, const char *reason)
{
	r->up = false;
	r->self = NULL;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void room_stop(struct room_state *r, const char *reason)
{
	if (r->up)
		r->room->stop(r->self);
	room_down(r, reason);
}

/* At start, while the kernel's BTF is at hand, for rooms that are off too: they may be turned on. */
static void room_probe(struct agent *a, struct room_state *r)
{
	r->impossible = r->room->probe(&a->kernel) != 0;
	if (r->impossible)
		room_down(r, log_last_error());
}

static void room_start(struct agent *a, struct room_state *r)
{
	if (r->room->start(a, &r->self)) {
		room_down(r, log_last_error());
		return;
	}
	r->up = true;
	r->reason[0] = '\0';
	log_info("%s: up", r->room->name);
}

static void room_apply(struct agent *a, struct room_state *r, const struct policy *policy)
{
	if (r->impossible)
		return;
	if (!r->room->wanted(policy)) {
		if (r->up)
			log_info("%s: off", r->room->name);
		room_stop(r, "off by policy");
		return;
	}
	if (!r->up)
		room_start(a, r);
	if (r->up && r->room->apply(r->self, policy))
		room_stop(r, log_last_error());
}

void agent_apply(struct agent *a, struct policy *policy)
{
	policy_free(a->policy);
	a->policy = policy;
	if (!a->opts.log_level_given)
		log_set_level(policy->agent.log_level);
	if (a->self_stats)
		self_stats_apply(a->self_stats, policy->agent.self_stats);
	for (unsigned int i = 0; i < nr_rooms; i++)
		room_apply(a, &a->rooms[i], policy);
}

bool agent_healthy(const struct agent *a)
{
	for (unsigned int i = 0; i < nr_rooms; i++)
		if (!a->rooms[i].up && a->rooms[i].room->wanted(a->policy))
			return false;
	return true;
}

int agent_reset(struct agent *a, unsigned int *ret_removed)
{
	int err;

	for (unsigned int i = 0; i < nr_rooms; i++)
		room_stop(&a->rooms[i], "resetting");
	err = bpfobj_remove_pins(a->opts.bpffs, ret_removed);
	for (unsigned int i = 0; i < nr_rooms; i++)
		room_apply(a, &a->rooms[i], a->policy);
	log_info("counters reset, %u pins removed", *ret_removed);
	return err;
}

/* ---- signals ---- */

static void on_signal(struct source *s)
{
	struct agent *a = s->data;
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload_now(a->reload);
			break;
		case SIGCHLD:
			http_reap(a->http);
			break;
		default:
			a->stop = true;
		}
	}
}

static int watch_signals(struct agent *a, struct source *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	*s = (struct source){ .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .ready = on_signal, .data = a };
	if (s->fd < 0)
		return log_error(-errno, "cannot receive signals: %m");
	return agent_add_source(a, s);
}

/* ---- life ---- */

static int lock_run_dir(struct agent *a)
{
	const char *dir = a->opts.run_dir;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return log_error(-errno, "cannot make %s: %m", dir);
	a->run_dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->run_dir_fd < 0)
		return log_error(-errno, "cannot open %s: %m", dir);
	if (flock(a->run_dir_fd, LOCK_EX | LOCK_NB))
		return log_error(-EBUSY, "%s is in use by another nestord; give this one its own --run-dir", dir);
	return 0;
}

int agent_open(struct agent *a, const struct options *opts)
{
	int err;

	*a = (struct agent){ .opts = *opts, .epoll = -1, .run_dir_fd = -1, .bpffs_fd = -1, .started_ns = now_ns() };
	a->rooms = calloc(nr_rooms, sizeof(*a->rooms));
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!a->rooms || a->epoll < 0)
		return log_error(-ENOMEM, "cannot begin: %m");
	err = kernel_probe(&a->kernel);
	for (unsigned int i = 0; !err && i < nr_rooms; i++) {
		a->rooms[i].room = rooms[i];
		room_probe(a, &a->rooms[i]);
	}
	kernel_drop_btf(&a->kernel);
	if (!err && !opts->check)
		err = lock_run_dir(a);
	if (!err && !opts->check)
		err = bpfobj_open_dir(opts->bpffs, &a->bpffs_fd);
	return err;
}

/* One event at a time: a handler may remove any source, which must then not be called. */
static int loop(struct agent *a)
{
	while (!a->stop) {
		struct epoll_event event;
		struct source *s;
		int n = epoll_wait(a->epoll, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return log_error(-errno, "epoll: %m");
		if (n <= 0)
			continue;
		s = event.data.ptr;
		s->ready(s);
	}
	return 0;
}

int agent_run(struct agent *a)
{
	struct source signals = { .fd = -1 };
	struct policy *policy;
	int err;

	err = watch_signals(a, &signals);
	if (!err)
		err = http_start(a, &a->http);
	if (!err)
		err = ctl_start(a, &a->ctl);
	if (!err)
		err = reload_start(a, &a->reload, &policy);
	if (!err)
		err = self_stats_start(a, &a->self_stats);
	if (err)
		return err;
	agent_apply(a, policy);
	log_info("metrics: %s", http_url(a->http));
	sd_notify(0, "READY=1");
	err = loop(a);
	sd_notify(0, "STOPPING=1");
	agent_remove_source(a, &signals);
	return err;
}

void agent_close(struct agent *a)
{
	for (unsigned int i = 0; a->rooms && i < nr_rooms; i++)
		if (a->rooms[i].up)
			room_stop(&a->rooms[i], "stopping");
	self_stats_stop(a->self_stats);
	reload_stop(a->reload);
	ctl_stop(a->ctl);
	http_stop(a->http);
	policy_free(a->policy);
	kernel_close(&a->kernel);
	free(a->rooms);
	close_p(&a->epoll);
	close_p(&a->run_dir_fd);
	close_p(&a->bpffs_fd);
}
