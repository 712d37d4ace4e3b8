// SPDX-License-Identifier: GPL-2.0
/* What makes an agent a daemon: signals, and the parts that listen. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "agent/core/agent.h"
#include "agent/core/control.h"
#include "agent/daemon.h"
#include "agent/http/http.h"
#include "agent/lib/log.h"
#include "agent/lib/notify.h"
#include "agent/core/reload.h"
#include "agent/core/history_sampler.h"

struct daemon {
	struct agent *agent;
	struct source signals, watchdog;
	struct http *http;
	struct control *ctl;
	struct reload *reload;
	struct history_sampler *sampler;
};

static void on_signal(struct source *s)
{
	struct daemon *d = s->data;
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload_now(d->reload);
			break;
		case SIGCHLD:
			http_reap(d->http);
			break;
		default:
			d->agent->env.loop.stop = true;
		}
	}
}

static int watch_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signals = (struct source){ .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .ready = on_signal, .data = d };
	if (d->signals.fd < 0)
		return log_error(-errno, "cannot receive signals: %m");
	return loop_add(&d->agent->env.loop, &d->signals);
}

static void on_watchdog(struct source *timer)
{
	loop_timer_drain(timer->fd);
	notify_manager("WATCHDOG=1");
}

/* Twice in the time that the manager allows (WatchdogSec=), by the loop itself: it ends an agent whose loop stands still. */
static int feed_watchdog(struct daemon *d)
{
	uint64_t us;

	if (sd_watchdog_enabled(0, &us) <= 0)
		return 0;
	d->watchdog.fd = loop_timer_open(us * 500, us * 500);
	d->watchdog.ready = on_watchdog;
	return d->watchdog.fd < 0 ? log_error(d->watchdog.fd, "cannot feed the watchdog: no timer")
				  : loop_add(&d->agent->env.loop, &d->watchdog);
}

static int start_http(struct daemon *d)
{
	struct agent *a = d->agent;
	const struct http_options options = {
		.listen = a->opts.listen,
		.user = a->opts.http_user,
		.allow_hosts = a->opts.allow_hosts,
		.run_dir = a->opts.run_dir,
	};
	int err = http_start(a, &a->env.loop, &options, &d->http);

	if (!err)
		snprintf(a->metrics_url, sizeof(a->metrics_url), "%s", http_url(d->http));
	return err;
}

static int serve(struct daemon *d)
{
	struct agent *a = d->agent;
	struct policy *policy;
	int err;

	err = watch_signals(d);
	if (!err)
		err = start_http(d);
	if (!err)
		err = reload_start(a, &d->reload, &policy);
	if (!err)
		err = control_start(a, d->reload, &d->ctl);
	if (!err)
		err = feed_watchdog(d);
	if (err)
		return err;
	agent_apply(a, policy);
	err = history_sampler_start(a, &d->sampler);
	if (err)
		return err;
	log_info("metrics: %s", a->metrics_url);
	notify_manager("READY=1");
	err = loop_run(&a->env.loop);
	notify_manager("STOPPING=1");
	return err;
}

int daemon_run(struct agent *a)
{
	struct daemon d = { .agent = a, .signals.fd = -1, .watchdog.fd = -1 };
	int err = serve(&d);

	history_sampler_stop(d.sampler);
	control_stop(d.ctl);
	reload_stop(d.reload);
	http_stop(d.http);
	if (d.watchdog.fd >= 0)
		loop_remove(&a->env.loop, &d.watchdog);
	if (d.signals.fd >= 0)
		loop_remove(&a->env.loop, &d.signals);
	return err;
}
