// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/types.h>

#include "agent/base/metrics.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/loop.h"
#include "agent/lib/util.h"
#include "agent/who/looker.h"

#define PACKETS_MAX 64 /* that are read before the loop has its turn */
#define SCAN_PARTS_MAX 65536 /* of one scan */
#define PENALTIES_MAX 256 /* groups that are left alone at a time */
#define AFTER_STUCK 4 /* times as long as a look was stuck nothing of LOOK_OTHERS is looked at */
#define REAP_NS (100ULL * 1000000)
#define START_NS (5000ULL * 1000000) /* so long it may take to start */
#define RESTART_NS (1000ULL * 1000000) /* after it failed by itself */

struct penalty {
	__u64 group;
	enum look_class class;
	__u64 until_ns, length_ns;
};

enum look_end { END_DONE, END_STUCK, END_LEFT, END_FAILED, LOOK_ENDS };

struct looker {
	struct loop *loop;
	struct source sock; /* fd -1: there is none */
	struct source timer; /* something is to be done: see plan() */
	pid_t pid; /* 0: none */
	bool ready; /* it has said so */
	__u64 start_until_ns;
	pid_t stuck[LOOKERS_STUCK_MOST + 1]; /* killed, not ended */
	unsigned int nr_stuck;
	struct look *now; /* being answered; NULL: nothing, or it was dropped meanwhile */
	bool busy; /* a request is unanswered */
	struct look_request request;
	unsigned int parts; /* of the answer */
	__u64 asked_ns, deadline_ns;
	enum look_class turn; /* which had the last one */
	TAILQ_HEAD(, look) queues[LOOK_CLASSES];
	__u64 others_ns, restart_ns; /* not before */
	struct penalty penalties[PENALTIES_MAX];
	__u64 ends[LOOK_ENDS];
};

__u64 looker_hash(const char *text)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	while (*text)
		hash = (hash ^ (unsigned char)*text++) * 0x100000001b3ULL;
	return hash;
}

/* ---- penalties ---- */

static struct penalty *find_penalty(struct looker *k, enum look_class class, __u64 group)
{
	for (unsigned int i = 0; i < PENALTIES_MAX; i++)
		if (k->penalties[i].length_ns && k->penalties[i].class == class && k->penalties[i].group == group)
			return &k->penalties[i];
	return NULL;
}

static void punish(struct looker *k, enum look_class class, __u64 group)
{
	__u64 most = class == LOOK_TRUSTED ? LOOK_PENALTY_TRUSTED_NS : LOOK_PENALTY_MOST_NS;
	struct penalty *p = find_penalty(k, class, group);
	__u64 length;

	if (class < LOOK_TRUSTED)
		return;
	if (!p) { /* the place that is free, or will be first */
		p = k->penalties;
		for (unsigned int i = 1; i < PENALTIES_MAX; i++)
			if (k->penalties[i].until_ns < p->until_ns)
				p = &k->penalties[i];
		p->length_ns = 0;
	}
	length = p->length_ns ? 2 * p->length_ns : LOOK_PENALTY_NS;
	*p = (struct penalty){ .group = group, .class = class, .length_ns = length < most ? length : most };
	p->until_ns = now_ns() + p->length_ns;
}

static void forgive(struct looker *k, enum look_class class, __u64 group)
{
	struct penalty *p = find_penalty(k, class, group);

	if (p)
		*p = (struct penalty){};
}

static bool is_left_alone(struct looker *k, const struct look *l)
{
	const struct penalty *p = find_penalty(k, l->class, l->group);

	return (p && now_ns() < p->until_ns) || (l->class == LOOK_OTHERS && k->nr_stuck >= LOOKERS_STUCK_SOME) ||
	       (l->class == LOOK_TRUSTED && k->nr_stuck >= LOOKERS_STUCK_MOST);
}

/* ---- the process ---- */

static void on_reply(struct source *s);

static void reap(struct looker *k)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < k->nr_stuck; i++)
		if (child_wait(k->stuck[i], 0, NULL) == -ETIMEDOUT)
			k->stuck[kept++] = k->stuck[i];
	k->nr_stuck = kept;
}

static void end_process(struct looker *k)
{
	if (k->sock.fd >= 0)
		loop_remove(k->loop, &k->sock);
	if (!k->pid)
		return;
	kill(k->pid, SIGKILL);
	k->stuck[k->nr_stuck++] = k->pid;
	k->pid = 0;
	k->ready = false;
	reap(k);
}

static int start_process(struct looker *k)
{
	const char *const argv[] = { LOOKER_NAME, NULL };
	const char *const envp[] = { getenv("JOURNAL_STREAM") ? "JOURNAL_STREAM=1" : NULL, NULL };
	const int fds[] = { CHILD_NULL, CHILD_NULL, STDERR_FILENO, [LOOKER_FD] = CHILD_SOCKET };
	int err, sock;

	if (k->nr_stuck == ARRAY_SIZE(k->stuck))
		return -EAGAIN;
	err = child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, &k->pid, &sock);
	if (err) {
		k->pid = 0;
		return log_error(err, "who: cannot start the looker: %s", strerror(-err));
	}
	k->ready = false;
	k->start_until_ns = now_ns() + START_NS;
	k->sock.fd = sock;
	err = loop_add(k->loop, &k->sock);
	if (err)
		end_process(k);
	return err;
}

/* ---- one look ---- */

static void answer_end(struct looker *k, struct look *l, int error)
{
	const struct look_reply end = { .part = LOOK_END, .error = error };

	k->ends[error == -ETIMEDOUT ? END_STUCK : error == -EBUSY ? END_LEFT : error == -EIO ? END_FAILED : END_DONE]++;
	if (!l)
		return;
	l->asked = false;
	l->answer(l, &end);
}

/* The looker is of no more use. Its own failure may be what it looked at, too. */
static void give_up(struct looker *k, int error)
{
	struct look *l = k->now;
	__u64 now = now_ns();

	end_process(k);
	if (error == -EIO)
		k->restart_ns = now + RESTART_NS;
	if (!k->busy)
		return;
	k->now = NULL;
	k->busy = false;
	if (l) {
		punish(k, l->class, l->group);
		if (l->class == LOOK_OTHERS)
			k->others_ns = now + AFTER_STUCK * (now - k->asked_ns);
	}
	answer_end(k, l, error);
}

static void send_request(struct looker *k, struct look *l)
{
	k->request.number++;
	k->request.type = l->type;
	k->request.pid = l->pid;
	k->request.start = l->start;
	k->request.again = l->again;
	k->request.user = l->user;
	memset(k->request.path, 0, sizeof(k->request.path));
	if (l->path)
		strncpy(k->request.path, l->path, sizeof(k->request.path) - 1);
	k->now = l;
	k->busy = true;
	k->parts = 0;
	k->asked_ns = now_ns();
	k->deadline_ns = k->asked_ns + (l->type == LOOK_SCAN ? LOOK_SCAN_NS : LOOK_NS);
	if (send(k->sock.fd, &k->request, sizeof(k->request), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(k->request))
		give_up(k, -EIO);
}

/* The first one of the class whose turn it is, of those that have one that may be looked at now. */
static struct look *next_look(const struct looker *k)
{
	for (unsigned int i = 1; i <= LOOK_CLASSES; i++) {
		enum look_class class = (k->turn + i) % LOOK_CLASSES;

		if (!TAILQ_EMPTY(&k->queues[class]) && (class != LOOK_OTHERS || now_ns() >= k->others_ns))
			return TAILQ_FIRST(&k->queues[class]);
	}
	return NULL;
}

static bool is_any_asked(const struct looker *k)
{
	for (unsigned int i = 0; i < LOOK_CLASSES; i++)
		if (!TAILQ_EMPTY(&k->queues[i]))
			return true;
	return false;
}

/* Sets the timer for what is to be done next. */
static void plan(struct looker *k)
{
	__u64 now = now_ns(), next = 0;
	bool only_others = TAILQ_EMPTY(&k->queues[LOOK_SAFE]) && TAILQ_EMPTY(&k->queues[LOOK_SCANS]) &&
			   TAILQ_EMPTY(&k->queues[LOOK_TRUSTED]);

	if (k->busy)
		next = k->deadline_ns;
	else if (k->pid && !k->ready)
		next = k->start_until_ns;
	else if (is_any_asked(k))
		next = k->restart_ns > now ? k->restart_ns : only_others && k->others_ns > now ? k->others_ns : now;
	if (k->nr_stuck && (!next || next > now + REAP_NS))
		next = now + REAP_NS;
	loop_timer_rearm(k->timer.fd, next ? (next > now ? next - now : 1) : 0, 0);
}

static void take_out(struct looker *k, struct look *l)
{
	TAILQ_REMOVE(&k->queues[l->class], l, entry);
	k->turn = l->class;
}

/* It does not start: better an answer without a look than none. */
static void fail_all(struct looker *k)
{
	struct look *l;

	end_process(k);
	k->restart_ns = now_ns() + RESTART_NS;
	for (unsigned int i = 0; i < LOOK_CLASSES; i++)
		while ((l = TAILQ_FIRST(&k->queues[i]))) {
			take_out(k, l);
			answer_end(k, l, -EIO);
		}
}

static void begin_next(struct looker *k)
{
	struct look *l;

	while (!k->busy && now_ns() >= k->restart_ns && (l = next_look(k))) {
		if (is_left_alone(k, l)) {
			take_out(k, l);
			answer_end(k, l, -EBUSY);
		} else if (k->ready) {
			take_out(k, l);
			send_request(k, l);
		} else {
			if (!k->pid && start_process(k))
				fail_all(k);
			break;
		}
	}
	plan(k);
}

static void on_timer(struct source *s)
{
	struct looker *k = s->data;
	__u64 now = now_ns();

	loop_timer_drain(s->fd);
	reap(k);
	if (k->busy && now >= k->deadline_ns) {
		log_debug("who: a look at process %d is given up", k->request.pid);
		give_up(k, -ETIMEDOUT);
	} else if (k->pid && !k->ready && now >= k->start_until_ns) {
		fail_all(k);
	}
	begin_next(k);
}

static void take_reply(struct looker *k, const struct look_reply *reply)
{
	struct look *l = k->now;

	if (reply->part != LOOK_END) {
		if (k->request.type == LOOK_SCAN)
			k->deadline_ns = now_ns() + LOOK_SCAN_NS;
		if (l)
			l->answer(l, reply);
		return;
	}
	k->now = NULL;
	k->busy = false;
	if (l)
		forgive(k, l->class, l->group);
	answer_end(k, l, reply->error == -ESRCH || !reply->error ? reply->error : -ENODATA);
}

static void on_reply(struct source *s)
{
	static struct look_reply reply;
	struct looker *k = s->data;
	ssize_t len = 0;

	for (unsigned int i = 0; i < PACKETS_MAX && s->fd >= 0; i++) {
		unsigned int most = k->request.type == LOOK_SCAN ? SCAN_PARTS_MAX : 1;

		len = recv(s->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_TRUNC);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len == (ssize_t)sizeof(reply) && reply.part == LOOK_READY && !k->ready) {
			k->ready = true;
			continue;
		}
		if (len != (ssize_t)sizeof(reply) || !k->busy || !look_is_valid(&k->request, &reply) ||
		    (reply.part != LOOK_END && k->parts++ == most)) {
			log_warning("who: the looker failed");
			if (k->ready)
				give_up(k, -EIO);
			else
				fail_all(k);
			break;
		}
		take_reply(k, &reply);
	}
	begin_next(k);
}

/* ---- asking ---- */

void looker_ask(struct looker *k, struct look *l)
{
	if (l->asked)
		return;
	l->asked = true;
	TAILQ_INSERT_TAIL(&k->queues[l->class], l, entry);
	if (!k->busy)
		plan(k);
}

void looker_drop(struct looker *k, struct look *l)
{
	if (!l->asked)
		return;
	l->asked = false;
	if (k->now == l)
		k->now = NULL;
	else
		TAILQ_REMOVE(&k->queues[l->class], l, entry);
}

void looker_settle(struct looker *k, int timeout_ms)
{
	__u64 end = now_ns() + (__u64)timeout_ms * 1000000;

	while ((k->busy || is_any_asked(k)) && now_ns() < end) {
		struct pollfd fds[] = { { .fd = k->timer.fd, .events = POLLIN }, { .fd = k->sock.fd, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), (int)((end - now_ns()) / 1000000)) <= 0)
			continue;
		if (fds[0].revents)
			on_timer(&k->timer);
		else if (k->sock.fd == fds[1].fd)
			on_reply(&k->sock);
	}
}

void looker_collect(const struct looker *k, struct metrics *m)
{
	static const char *const names[LOOK_ENDS] = {
		[END_DONE] = "done", [END_STUCK] = "stuck", [END_LEFT] = "left", [END_FAILED] = "failed"
	};
	struct family *f = metrics_family(m, "nestor_looks_total", METRIC_COUNTER,
					  "Looks at processes and at records of containers, by how they ended.");

	for (unsigned int i = 0; i < LOOK_ENDS; i++)
		metrics_u64(f, metrics_labels(m, "end", names[i], NULL), k->ends[i]);
	f = metrics_family(m, "nestor_lookers_stuck", METRIC_GAUGE, "Processes that look, were killed, and have not ended.");
	metrics_u64(f, "", k->nr_stuck);
}

/* ---- life ---- */

int looker_open(struct loop *loop, struct looker **ret)
{
	struct looker *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return log_error(-ENOMEM, "who: out of memory");
	k->loop = loop;
	k->sock = (struct source){ .fd = -1, .ready = on_reply, .data = k };
	k->timer = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_timer, .data = k };
	for (unsigned int i = 0; i < LOOK_CLASSES; i++)
		TAILQ_INIT(&k->queues[i]);
	err = k->timer.fd < 0 ? log_error(k->timer.fd, "who: no timer: %s", strerror(-k->timer.fd)) : loop_add(loop, &k->timer);
	*ret = k; /* looker_close() frees it, also after an error */
	return err;
}

void looker_close(struct looker *k)
{
	if (!k)
		return;
	end_process(k);
	if (k->timer.fd >= 0)
		loop_remove(k->loop, &k->timer);
	free(k);
}
