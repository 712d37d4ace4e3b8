// SPDX-License-Identifier: GPL-2.0
/* The broker's side of executors: starting, ordering, killing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/gpufn/broker.h"
#include "agent/gpufn/workdir.h"
#include "agent/gpufn/executor_main.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/ipc.h"
#include "agent/lib/util.h"

#define ASTRAY_MAX 2 /* executors of a tenant on a device that hang; what it calls then may end with them */
#define IDLE_SECONDS 60 /* after which one that has nothing to do goes */
#define SILENT_SECONDS 1 /* from the end of its socket to its own; after that it is killed */
#define SILENT "the process that ran it closed its socket"

static void forget(struct executor *e)
{
	LIST_REMOVE(e, entry);
	if (e->reports.fd >= 0)
		loop_remove(&e->broker->loop, &e->reports);
	if (e->end.fd >= 0)
		loop_remove(&e->broker->loop, &e->end);
	gpufn_remove_dir(e->dir);
	free(e->compiled);
	free(e);
}

/* ---- ending: a process that hangs in a driver may take its time to die, and is never waited for ---- */

static const char *end_of(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "the process that ran it died of signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "the process that ran it ended with status %d", WEXITSTATUS(status));
	return text;
}

/* It is nobody's any more; what is left is to reap it. */
static void give_up(struct executor *e, const char *why)
{
	struct broker *b = e->broker;

	if (!LIST_EMPTY(&e->parts))
		log_warning("%s of %s on %s: %s", LIST_FIRST(&e->parts)->call->function, e->tenant->name, e->device->info.name,
			    why);
	LIST_REMOVE(e, entry);
	LIST_INSERT_HEAD(&b->dying, e, entry);
	if (e->reports.fd >= 0)
		loop_remove(&b->loop, &e->reports);
	b->executor_ops->on_death(e, why);
	e->tenant = NULL;
}

void executor_kill(struct executor *e, const char *why)
{
	kill(e->pid, SIGKILL);
	give_up(e, e->silent_at ? SILENT : why);
}

/*
 * Its socket is closed. It has ended, and on_end() will say how; or it does not, but only stopped to talk, and is killed soon.
 */
static void on_silence(struct executor *e)
{
	e->retired = true;
	e->silent_at = now_s();
	loop_remove(&e->broker->loop, &e->reports);
}

bool executor_is_mute(const struct executor *e, double now)
{
	return e->silent_at && now - e->silent_at > SILENT_SECONDS;
}

/* ---- what it reports ---- */

static void on_ready(struct executor *e, const struct gpufn_report *r)
{
	double launch = (double)r->ns / 1e9;

	if (r->err) {
		e->broker->executors_died++;
		executor_kill(e, r->text);
		return;
	}
	e->ready = true;
	if (!e->device->launch || launch < e->device->launch)
		e->device->launch = launch;
}

static void disbelieve(struct executor *e, const char *wrong)
{
	char why[128];

	e->broker->executors_killed++;
	e->broker->executors_forged++;
	snprintf(why, sizeof(why), "the process that ran it is not believed any more: %s", wrong);
	executor_kill(e, why);
}

/* False: there is none. It may be dying afterwards. */
static bool take_report(struct executor *e)
{
	struct gpufn_report r;
	const char *wrong;
	_close_ int fd = -1;
	ssize_t n = e->reports.fd < 0 ? -EAGAIN : ipc_recv_request(e->reports.fd, (char *)&r, sizeof(r), &fd);

	if (n == -EAGAIN || n == -EINTR)
		return false;
	if (!n || n == -ECONNRESET) {
		on_silence(e);
		return false;
	}
	wrong = fd >= 0 ? "a descriptor came with a report" : owed_check(&e->owed, &r, n, now_s());
	if (wrong) {
		disbelieve(e, wrong);
		return false;
	}
	e->busy_since = e->owed.nr ? now_s() : 0;
	if (r.op == GPUFN_READY)
		on_ready(e, &r);
	else
		e->broker->executor_ops->on_report(e, &r);
	return true;
}

static void on_report(struct source *s)
{
	take_report(s->data);
}

/* What it reported before is still taken. */
static void on_end(struct source *s)
{
	struct executor *e = s->data;
	char text[128];
	int status = 0;

	while (take_report(e))
		;
	if (child_wait(e->pid, 0, &status) == -ETIMEDOUT)
		return;
	if (e->tenant) { /* it was not killed */
		e->broker->executors_died++;
		give_up(e, end_of(status, text, sizeof(text)));
	}
	forget(e);
}

/* ---- starting ---- */

static int spawn(struct executor *e)
{
	char nr[16], home[300], cache[300], temporary[300];
	const char *const argv[] = { GPUFN_EXECUTOR_NAME, e->device->info.backend, nr, e->broker->functions_dir, e->dir, NULL };
	const char *envp[GPUFN_PASSED_MAX + 5] = { "PATH=/usr/bin:/bin", home, cache, temporary };
	const int fds[] = { CHILD_NULL, CHILD_NULL, STDERR_FILENO, [GPUFN_ORDERS_FD] = CHILD_SOCKET };
	int err, sock;

	gpufn_pass_environment((char **)envp + 4);
	snprintf(nr, sizeof(nr), "%u", e->device->info.nr);
	snprintf(home, sizeof(home), "HOME=%s", e->dir);
	snprintf(cache, sizeof(cache), "POCL_CACHE_DIR=%s", e->dir);
	snprintf(temporary, sizeof(temporary), "TMPDIR=%s", e->dir);
	err = child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, &e->pid, &sock);
	if (err)
		return log_error(err, "cannot start an executor: %s", strerror(-err));
	fcntl(sock, F_SETFL, O_NONBLOCK); /* nobody waits for one that hangs */
	e->reports = (struct source){ .fd = sock, .ready = on_report, .data = e };
	e->end = (struct source){ .fd = (int)syscall(SYS_pidfd_open, e->pid, 0), .ready = on_end, .data = e };
	if (e->end.fd < 0)
		return log_error(-errno, "cannot watch an executor: %m");
	return loop_add(&e->broker->loop, &e->reports) ?: loop_add(&e->broker->loop, &e->end);
}

struct executor *executor_get(struct broker *b, struct tenant *t, struct device *d)
{
	unsigned int astray = 0;
	struct executor *e;

	LIST_FOREACH (e, &b->executors, entry) {
		if (e->tenant != t || e->device != d || e->retired)
			continue;
		if (!e->astray || ++astray == ASTRAY_MAX)
			return e;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	*e = (struct executor){ .broker = b, .tenant = t, .device = d, .reports.fd = -1, .end.fd = -1 };
	e->used_at = e->busy_since = now_s();
	owed_add(&e->owed, GPUFN_READY, 0, e->used_at);
	snprintf(e->dir, sizeof(e->dir), "%s/executor.XXXXXX", b->state_dir);
	LIST_INSERT_HEAD(&b->executors, e, entry);
	if (!mkdtemp(e->dir) || spawn(e)) {
		log_error(0, "cannot start an executor in %s: %m", e->dir);
		forget(e);
		return NULL;
	}
	b->executors_started++;
	return e;
}

/* ---- ordering ---- */

int executor_order(struct executor *e, struct gpufn_order *o, int fd)
{
	double now = now_s();
	int err = e->reports.fd < 0 ? -EPIPE : e->owed.nr == GPUFN_OWED_MAX ? -EAGAIN : 0;

	err = err ?: ipc_send_request(e->reports.fd, (const char *)o, sizeof(*o), fd);
	if (err) { /* it hangs, and has as many orders as go in; what it does not hear of, it would keep */
		e->retired |= o->op == GPUFN_CLOSE;
		return err;
	}
	if (!e->owed.nr)
		e->busy_since = now;
	return owed_add(&e->owed, o->op, o->call, now);
}

bool executor_has_compiled(const struct executor *e, __u64 hash)
{
	unsigned int i = 0;

	while (i < e->nr_compiled && e->compiled[i] != hash)
		i++;
	return i < e->nr_compiled;
}

/* Without memory it is asked to compile again, which it need not do. */
void executor_note_compiled(struct executor *e, __u64 hash)
{
	__u64 *more = executor_has_compiled(e, hash) ? NULL : reallocarray(e->compiled, e->nr_compiled + 1, sizeof(*more));

	if (!more)
		return;
	e->compiled = more;
	more[e->nr_compiled++] = hash;
}

void executor_tend(struct broker *b)
{
	double now = now_s();
	struct executor *e;

	LIST_FOREACH (e, &b->executors, entry) {
		if (e->owed.nr || !LIST_EMPTY(&e->parts))
			e->used_at = now;
		e->retired |= now - e->used_at > IDLE_SECONDS;
	}
	executor_kill_retired(b);
}

bool executor_has(const struct broker *b, const struct tenant *t)
{
	const struct executor *e;

	LIST_FOREACH (e, &b->executors, entry)
		if (e->tenant == t)
			return true;
	return false;
}

void executor_retire_all(struct broker *b)
{
	struct executor *e;

	LIST_FOREACH (e, &b->executors, entry)
		e->retired = true;
	executor_kill_retired(b);
}

void executor_kill_retired(struct broker *b)
{
	struct executor *e;

	do {
		LIST_FOREACH (e, &b->executors, entry)
			if (e->retired && LIST_EMPTY(&e->parts))
				break;
		if (e)
			executor_kill(e, "");
	} while (e);
}

void executor_kill_all(struct broker *b)
{
	while (!LIST_EMPTY(&b->executors))
		executor_kill(LIST_FIRST(&b->executors), "the broker stops");
	while (!LIST_EMPTY(&b->dying)) /* they end with the broker, if not before */
		forget(LIST_FIRST(&b->dying));
}
