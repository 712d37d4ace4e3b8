// SPDX-License-Identifier: GPL-2.0
/* The broker's side of executors: starting, ordering, killing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* ---- starting ---- */

static void forget(struct executor *e)
{
	LIST_REMOVE(e, entry);
	if (e->reports.fd >= 0)
		loop_remove(&e->broker->loop, &e->reports);
	gpufn_remove_dir(e->dir);
	free(e);
}

static const char *end_of(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "the process that ran it died of signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "the process that ran it ended with status %d", WEXITSTATUS(status));
	return text;
}

/* A process that hangs in a driver may take its time to die: it is not waited for. */
static void bury(struct broker *b, pid_t pid)
{
	if (b->nr_dying < GPUFN_DYING_MAX) /* else it stays a zombie, until the broker ends */
		b->dying[b->nr_dying++] = pid;
}

static void reap(struct broker *b)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < b->nr_dying; i++)
		if (child_wait(b->dying[i], 0, NULL) == -ETIMEDOUT)
			b->dying[left++] = b->dying[i];
	b->nr_dying = left;
}

/* With @why it is killed; without, it has died by itself. */
static void end(struct executor *e, const char *why)
{
	char text[128];
	int status = 0;

	if (why) {
		kill(e->pid, SIGKILL);
		bury(e->broker, e->pid);
	} else {
		child_wait(e->pid, -1, &status);
		why = end_of(status, text, sizeof(text));
	}
	if (!LIST_EMPTY(&e->parts))
		log_warning("%s of %s on %s: %s", LIST_FIRST(&e->parts)->call->function, e->tenant->name, e->device->info.name,
			    why);
	e->broker->executor_ops->on_death(e, why);
	forget(e);
}

static void on_report(struct source *s)
{
	struct executor *e = s->data;
	struct gpufn_report r;
	ssize_t n = recv(s->fd, &r, sizeof(r), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(r)) {
		e->broker->executors_died++;
		end(e, NULL);
		return;
	}
	r.text[sizeof(r.text) - 1] = '\0';
	e->owed -= e->owed > 0;
	e->busy_since = e->owed ? now_s() : 0;
	if (r.op == GPUFN_READY) {
		e->ready = !r.err;
		if (!r.err && (!e->device->launch || (double)r.ns / 1e9 < e->device->launch))
			e->device->launch = (double)r.ns / 1e9;
		if (r.err) {
			e->broker->executors_died++;
			executor_kill(e, r.text);
		}
		return;
	}
	e->broker->executor_ops->on_report(e, &r);
}

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
	return loop_add(&e->broker->loop, &e->reports);
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
	*e = (struct executor){ .broker = b, .tenant = t, .device = d, .reports = { .fd = -1 }, .owed = 1 };
	e->used_at = e->busy_since = now_s();
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

/* ---- ordering and killing ---- */

int executor_order(struct executor *e, struct gpufn_order *o, int fd)
{
	int err = ipc_send_request(e->reports.fd, (const char *)o, sizeof(*o), fd);

	if (err) { /* it hangs, and has as many orders as go in; what it does not hear of, it would keep */
		e->retired |= o->op == GPUFN_CLOSE;
		return err;
	}
	if (!e->owed)
		e->busy_since = now_s();
	e->owed++;
	return 0;
}

void executor_kill(struct executor *e, const char *why)
{
	end(e, why);
}

void executor_tend(struct broker *b)
{
	double now = now_s();
	struct executor *e;

	LIST_FOREACH (e, &b->executors, entry) {
		if (e->owed || !LIST_EMPTY(&e->parts))
			e->used_at = now;
		e->retired |= now - e->used_at > IDLE_SECONDS;
	}
	executor_kill_retired(b);
	reap(b);
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
			end(e, "");
	} while (e);
}

void executor_kill_all(struct broker *b)
{
	while (!LIST_EMPTY(&b->executors))
		end(LIST_FIRST(&b->executors), "the broker stops");
}
