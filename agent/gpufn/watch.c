// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/gpufn/broker.h"
#include "agent/gpufn/watch.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define SETTLE_NS (1000000000ULL / 5) /* after the last change: an editor writes more than one file */
#define SETTLE_SECONDS 5 /* from the first change: where they do not end, what is there is taken */
#define FILES (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
#define DIRECTORY (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW)

static void complain(const char *why)
{
	log_warning("%s", why);
}

/* ---- changes ---- */

static bool ends(const char *text, const char *tail)
{
	size_t len = strlen(text), tail_len = strlen(tail);

	return len > tail_len && !strcmp(text + len - tail_len, tail);
}

static bool matters(const struct inotify_event *e)
{
	if (e->mask & DIRECTORY)
		return true;
	return (e->mask & FILES) && e->len && e->name[0] != '.' && (ends(e->name, ".yaml") || ends(e->name, ".cl"));
}

/* True: something has changed since this was asked last. */
static bool take_changes(const struct broker *b)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool some = false;
	ssize_t n;

	while ((n = read(b->changes.fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + n;) {
			const struct inotify_event *e = (const void *)at;

			some |= matters(e);
			at += sizeof(*e) + e->len;
		}
	return some;
}

static void plan(struct broker *b)
{
	double now = now_s();

	if (!b->changed_at)
		b->changed_at = now;
	if (now - b->changed_at < SETTLE_SECONDS)
		loop_timer_rearm(b->settle.fd, SETTLE_NS, 0);
}

static void on_change(struct source *s)
{
	if (take_changes(s->data))
		plan(s->data);
}

/* ---- reading it ---- */

/* The directory that has the name now, which is watched from before it is read. -errno, logged. */
static int open_directory(struct broker *b)
{
	int dir = open(b->functions_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), watch;
	char path[32];

	if (dir < 0)
		return log_error(-errno, "%s: %m", b->functions_dir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	watch = inotify_add_watch(b->changes.fd, path, FILES | (DIRECTORY & IN_ALL_EVENTS) | IN_ONLYDIR);
	if (watch < 0 || fstat(dir, &b->watched)) {
		close_p(&dir);
		return log_error(-errno, "cannot watch %s: %m", b->functions_dir);
	}
	if (b->watch >= 0 && b->watch != watch)
		inotify_rm_watch(b->changes.fd, b->watch);
	b->watch = watch;
	return dir;
}

static void replace_library(struct broker *b, struct library *fresh)
{
	log_info("%zu functions in %s", fresh->n, b->functions_dir);
	library_free(&b->before);
	b->before = b->library;
	b->library = *fresh;
	b->library_nr++;
	executor_retire_all(b);
}

/* All of it or nothing: what changes while it is read is read again. */
static int load(struct broker *b)
{
	struct library fresh;
	char why[256];
	int err, dir = open_directory(b);

	if (dir < 0)
		return dir;
	err = library_load_at(dir, b->functions_dir, complain, &fresh, why);
	close_p(&dir);
	if (err)
		return log_error(err, "%s; functions stay as they are", why);
	if (take_changes(b)) {
		plan(b);
		if (now_s() - b->changed_at < SETTLE_SECONDS) {
			library_free(&fresh);
			return 0;
		}
	}
	b->changed_at = 0;
	if (b->library_nr && library_same(&fresh, &b->library))
		library_free(&fresh);
	else
		replace_library(b, &fresh);
	return 0;
}

static bool is_used(const struct broker *b, const struct library *l)
{
	const struct call *c;

	for (size_t i = 0; i < l->n; i++)
		TAILQ_FOREACH (c, &b->calls, entry)
			if (c->fn.f == l->functions[i])
				return true;
	return false;
}

/* While calls of the library before that one are under way, that one stays, too. */
static void on_settled(struct source *s)
{
	struct broker *b = s->data;

	loop_timer_drain(s->fd);
	if (is_used(b, &b->before))
		loop_timer_rearm(s->fd, SETTLE_NS, 0);
	else
		load(b);
}

void watch_directory(struct broker *b)
{
	struct stat st;

	if (!stat(b->functions_dir, &st) && (st.st_dev != b->watched.st_dev || st.st_ino != b->watched.st_ino))
		plan(b);
}

int watch_library(struct broker *b)
{
	b->watch = -1;
	b->changes = (struct source){ .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .ready = on_change, .data = b };
	b->settle = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_settled, .data = b };
	if (b->changes.fd < 0 || b->settle.fd < 0)
		return log_error(-errno, "cannot watch %s: %m", b->functions_dir);
	return loop_add(&b->loop, &b->changes) ?: loop_add(&b->loop, &b->settle) ?: load(b);
}
