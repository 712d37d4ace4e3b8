// SPDX-License-Identifier: GPL-2.0
/*
 * The broker's front door: HTTP on a UNIX socket. Who calls is told by the kernel, never by the request.
 *
 *	POST /v1/functions/NAME?SCALAR=…&deadline=SECONDS&priority=0…3&wait=0	inputs as body, outputs come back; with wait=0
 *		202 at once, and {"call": ID}
 *	GET /v1/functions[/NAME]	what there is
 *	GET /v1/calls/ID[/result], DELETE /v1/calls/ID	of calls that were not waited for
 *	GET /v1/events	server-sent events, one for each of these that ends
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "agent/gpufn/http_answer.h"
#include "agent/gpufn/http_call.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define CONNECTIONS_MAX 1024
#define PEER_CONNECTIONS_MAX 128 /* of one tenant, or of all that are none */
#define IDLE_SECONDS 30
#define HEAD_MAX (16 * 1024)
#define RESULT_SECONDS 60 /* that what a call gave is kept for who did not wait */
#define ROUNDS_MAX 16
#define BEAT_SECONDS 15 /* between signs of life to listeners, so that dead ones are found */

/* A connection. */
struct peer {
	struct tenant *tenant; /* NULL: none */
};

/* ---- other requests ---- */

static json_t *function_json(const struct function *f)
{
	static const char *const kinds[] = { "input", "output", "scratch", "scalar" };
	static const char *const types[] = { "uint8", "int32", "uint32", "uint64", "float32", "float64" };
	json_t *arguments = json_array();

	for (unsigned int i = 0; i < f->arguments_count; i++) {
		const struct fn_argument *a = &f->arguments[i];

		json_array_append_new(arguments, json_pack("{s:s, s:s, s:s, s:s*}", "name", a->name, "kind", kinds[a->kind],
							   "type", types[a->type], "count", a->count));
	}
	return json_pack("{s:s, s:s, s:b, s:o}", "function", f->name, "doc", f->doc, "sliceable", f->sliceable, "arguments",
			 arguments);
}

static enum MHD_Result show_functions(struct gpufn_http *f, struct MHD_Connection *c, const char *name)
{
	const struct function *one = *name ? library_find(&f->broker->library, name) : NULL;
	json_t *all;

	if (*name)
		return one ? http_answer_json(c, MHD_HTTP_OK, function_json(one))
			   : http_answer_error(c, MHD_HTTP_NOT_FOUND, "there is no function '%.40s'", name);
	all = json_array();
	for (size_t i = 0; i < f->broker->library.n; i++)
		json_array_append_new(all, function_json(f->broker->library.functions[i]));
	return http_answer_json(c, MHD_HTTP_OK, all);
}

/* One that was not waited for; a tenant sees none but its own. */
static struct call *find_call(struct gpufn_http *f, const struct tenant *t, const char *text, const char **ret_rest)
{
	char *end;
	unsigned long long id = strtoull(text, &end, 10);
	struct call *c;

	*ret_rest = end;
	TAILQ_FOREACH (c, &f->broker->calls, entry)
		if (c->id == id && c->tenant == t && !c->data_of_done)
			return c;
	return NULL;
}

static enum MHD_Result show_call(struct gpufn_http *f, struct MHD_Connection *c, struct tenant *t, const char *method,
				 const char *text)
{
	const char *rest;
	struct call *call = find_call(f, t, text, &rest);

	if (!call)
		return http_answer_error(c, MHD_HTTP_NOT_FOUND, "%s has no such call, or its result has been kept long enough",
					 t->name);
	if (!strcmp(method, MHD_HTTP_METHOD_DELETE) && !*rest) {
		call_free(call);
		return http_answer_json(c, MHD_HTTP_OK, json_object());
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return http_answer_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "a call takes GET and DELETE");
	if (!*rest)
		return http_answer_json(c, MHD_HTTP_OK, http_answer_call_json(call));
	if (strcmp(rest, "/result") != 0)
		return http_answer_error(c, MHD_HTTP_NOT_FOUND, "a call has a result, and nothing else");
	if (call->end == CALL_RUNS)
		return http_answer_error(c, MHD_HTTP_CONFLICT, "it has not ended yet");
	return http_answer_ended(c, call);
}

/* What follows @prefix in @url; NULL: it does not begin so. */
static const char *after(const char *url, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(url, prefix, len) ? NULL : url + len;
}

static enum MHD_Result route(struct request *q, const char *method, const char *url)
{
	struct MHD_Connection *c = q->connection;
	const char *rest;

	if ((rest = after(url, "/v1/functions/")) && !strcmp(method, MHD_HTTP_METHOD_POST))
		return http_call_open(q, rest);
	if ((rest = after(url, "/v1/functions")) && (!*rest || *rest == '/')) {
		if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
			return http_answer_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "this takes GET, and POST for one function");
		return show_functions(q->front, c, *rest ? rest + 1 : rest);
	}
	if ((rest = after(url, "/v1/calls/")))
		return show_call(q->front, c, q->tenant, method, rest);
	if (!strcmp(url, "/v1/events") && !strcmp(method, MHD_HTTP_METHOD_GET))
		return http_events_listen(&q->front->listeners, c, q->tenant);
	return http_answer_error(c, MHD_HTTP_NOT_FOUND, "there are /v1/functions, /v1/calls/ID and /v1/events");
}

/* ---- what libmicrohttpd calls ---- */

static struct tenant *tenant_of_connection(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info && info->socket_context ? ((struct peer *)info->socket_context)->tenant : NULL;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct request *q = *state;

	(void)version;
	if (!q) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return MHD_NO;
		*q = (struct request){ .front = data, .connection = c, .deadline = INFINITY, .wait = true, .data = -1 };
		q->hangup.fd = -1;
		*state = q;
		q->tenant = tenant_of_connection(c);
		if (!q->tenant || !q->tenant->named)
			return http_answer_error(c, MHD_HTTP_FORBIDDEN,
						 "no policy names you: neither your container nor your user is a tenant");
		return route(q, method, url);
	}
	if (!*upload_size)
		return q->call ? http_answer_ended(c, q->call) : http_call_begin(q);
	if (!http_call_upload(q, upload, *upload_size))
		return MHD_NO;
	*upload_size = 0;
	return MHD_YES;
}

static void on_completed(void *data, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct request *q = *state;

	(void)data;
	(void)c;
	(void)code;
	if (!q)
		return;
	http_call_close(q);
	free(q);
	*state = NULL;
}

static void on_connection(void *data, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode code)
{
	int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct gpufn_http *f = data;
	struct peer *p = *state;
	unsigned int n;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (p && p->tenant)
			p->tenant->nr_peers--;
		if (p)
			f->strangers -= !p->tenant;
		free(p);
		*state = NULL;
		return;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->tenant = tenant_of(f->broker, fd);
	if (p->tenant)
		n = p->tenant->nr_peers++;
	else
		n = f->strangers++;
	if (n >= PEER_CONNECTIONS_MAX)
		shutdown(fd, SHUT_RDWR);
	*state = p;
}

/* ---- life ---- */

/* Until it has nothing left that it could do at once; of what it does in a round, some is seen in the next one only. */
static void run(struct gpufn_http *f)
{
	MHD_UNSIGNED_LONG_LONG wait;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		MHD_run(f->daemon);
		if (MHD_get_timeout(f->daemon, &wait) != MHD_YES || wait)
			return;
	}
	http_run_soon(f);
}

static void on_events(struct source *s)
{
	struct gpufn_http *f = s->data;

	if (s == &f->soon)
		loop_timer_drain(s->fd);
	run(f);
}

void gpufn_http_tick(struct broker *b)
{
	struct gpufn_http *f = b->front;
	double now = now_s();
	struct call *c, *next;

	for (c = TAILQ_FIRST(&b->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->end != CALL_RUNS && !c->data_of_done && now - c->ended > RESULT_SECONDS)
			call_free(c);
	}
	if (now - f->beat > BEAT_SECONDS) {
		f->beat = now;
		http_events_beat(&f->listeners);
	}
	run(f); /* idle connections have their end */
}

int gpufn_http_open(struct broker *b)
{
	const union MHD_DaemonInfo *info;
	struct gpufn_http *f = calloc(1, sizeof(*f));

	if (!f)
		return log_error(-ENOMEM, "out of memory");
	b->front = f;
	f->broker = b;
	f->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, f,
				     MHD_OPTION_LISTEN_SOCKET, GPUFN_LISTEN_FD, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)HEAD_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, f, MHD_OPTION_END);
	info = f->daemon ? MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return log_error(-EIO, "cannot serve HTTP");
	f->events = (struct source){ .fd = info->epoll_fd, .ready = on_events, .data = f };
	f->soon = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_events, .data = f };
	return loop_add(&b->loop, &f->events) ?: loop_add(&b->loop, &f->soon);
}

void gpufn_http_close(struct broker *b)
{
	struct gpufn_http *f = b->front;
	struct call *c;

	if (!f)
		return;
	TAILQ_FOREACH (c, &b->calls, entry)
		call_finish(c, CALL_CANCELLED, "the broker stops");
	http_events_close(&f->listeners);
	if (f->daemon) {
		run(f); /* who waits is told */
		MHD_stop_daemon(f->daemon);
	}
	free(f);
	b->front = NULL;
}
