// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/agent.h"
#include "agent/base/history.h"
#include "agent/lib/log.h"
#include "agent/lib/notify.h"
#include "agent/core/reload.h"
#include "agent/lib/util.h"

struct reload {
	struct agent *agent;
	struct source inotify;
	char dir[PATH_MAX]; /* what is watched */
	char file[NAME_MAX + 1]; /* the policy's name where it is one file, else "" */
};

/*
 * Editors write a new file and rename it over the old one, so the directory is watched, never the file.
 * A file is done when it is closed: what is still being written is not read.
 */
#define CHANGES (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB)

/* A link, a FIFO and the like are complete as soon as they exist; nobody closes them. */
static bool is_complete(const struct reload *r, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	return !lstat(path, &st) && (!S_ISREG(st.st_mode) || st.st_nlink > 1);
}

static bool concerns(const struct reload *r, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (!e->len) /* the directory itself: gone, or its mode changed */
		return !r->file[0];
	if (e->name[0] == '.' || ((e->mask & IN_CREATE) && !is_complete(r, e->name)))
		return false;
	return !r->file[0] || !strcmp(r->file, e->name);
}

static void on_change(struct source *s)
{
	struct reload *r = s->data;
	char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)] __attribute__((aligned(8)));
	bool changed = false;
	ssize_t len;

	while ((len = read(s->fd, events, sizeof(events))) > 0) {
		for (char *p = events; p < events + len;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			changed |= concerns(r, e);
			p += sizeof(*e) + e->len;
		}
	}
	if (changed)
		reload_now(r);
}

static int watch(struct reload *r, const char *policy)
{
	char parent[PATH_MAX], name[PATH_MAX];
	struct stat st;

	if (stat(policy, &st))
		return log_error(-errno, "policy %s: %m", policy);
	snprintf(r->dir, sizeof(r->dir), "%s", policy);
	if (!S_ISDIR(st.st_mode)) {
		snprintf(parent, sizeof(parent), "%s", policy);
		snprintf(name, sizeof(name), "%s", policy);
		snprintf(r->dir, sizeof(r->dir), "%s", dirname(parent));
		snprintf(r->file, sizeof(r->file), "%s", basename(name));
	}
	r->inotify = (struct source){ .ready = on_change, .data = r };
	r->inotify.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->inotify.fd < 0 || inotify_add_watch(r->inotify.fd, r->dir, CHANGES) < 0)
		return log_error(-errno, "cannot watch %s: %m", r->dir);
	return loop_add(&r->agent->env.loop, &r->inotify);
}

int reload_start(struct agent *a, struct reload **ret_reload, struct policy **ret_policy)
{
	struct reload *r = calloc(1, sizeof(*r));
	int err = 0;

	if (!r)
		return log_error(-ENOMEM, "out of memory");
	r->agent = a;
	r->inotify.fd = -1;
	if (a->opts.policy)
		err = watch(r, a->opts.policy);
	if (!err) {
		err = policy_load(a->opts.sections, a->opts.policy, ret_policy, &a->reloads.error);
		if (err)
			log_error(err, "%s", a->reloads.error.text);
	}
	if (err) {
		reload_stop(r);
		return err;
	}
	a->reloads.last_ok = true;
	a->reloads.succeeded = 1;
	*ret_reload = r;
	return 0;
}

/* systemd wants to hear of a reload, and when it is over. */
static void announce(bool begins)
{
	if (begins)
		notify_manager("RELOADING=1\nMONOTONIC_USEC=%llu", now_ns() / 1000);
	else
		notify_manager("READY=1");
}

/* Editors touch a file more than once, and a file may be written as it was. */
static bool is_same(const struct policy *a, const struct policy *b)
{
	json_t *one = policy_to_json(a), *other = policy_to_json(b);
	bool same = json_equal(one, other);

	json_decref(one);
	json_decref(other);
	return same;
}

void reload_now(struct reload *r)
{
	struct agent *a = r->agent;
	struct policy *policy;
	int err;

	announce(true);
	if (r->inotify.fd >= 0) /* it may be another directory of this name by now; if not, this does nothing */
		inotify_add_watch(r->inotify.fd, r->dir, CHANGES);
	err = policy_load(a->opts.sections, a->opts.policy, &policy, &a->reloads.error);
	a->reloads.last_ok = !err;
	if (err) {
		a->reloads.failed++;
		log_warning("policy refused, the one before stays: %s", a->reloads.error.text);
	} else {
		a->reloads.succeeded++;
		a->reloads.error.text[0] = '\0';
		log_info("policy reloaded");
		if (a->history && !is_same(a->env.policy, policy))
			history_mark(a->history, real_ms());
		agent_apply(a, policy);
	}
	announce(false);
}

void reload_stop(struct reload *r)
{
	if (!r)
		return;
	if (r->inotify.fd >= 0)
		loop_remove(&r->agent->env.loop, &r->inotify);
	free(r);
}
