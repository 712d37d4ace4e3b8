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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/gpufn/http_answer.h"
#include "agent/gpufn/http_events.h"
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

struct request {
	struct gpufn_http *front;
	struct MHD_Connection *connection;
	struct tenant *tenant;
	struct fn_call fn;
	char values[GPUFN_VALUES_MAX];
	unsigned int library_nr; /* of which @fn is */
	double deadline;
	unsigned int priority;
	bool wait, suspended;
	int data; /* memfd; -1: none, or the call's by now */
	__u64 reserved; /* bytes of the tenant's, for what is uploaded */
	__u64 received;
	struct call *call;
	struct source hangup; /* of the connection while it is suspended */
};

struct gpufn_http {
	struct broker *broker;
	struct MHD_Daemon *daemon;
	struct source events; /* libmicrohttpd's */
	struct source soon; /* a timer */
	unsigned int strangers; /* connections of who is no tenant */
	struct listeners listeners;
	double beat;
};

/* Whatever was resumed is seen to, not at once: libmicrohttpd may be in the middle of something else. */
static void run_soon(struct gpufn_http *f)
{
	loop_timer_rearm(f->soon.fd, 1, 0);
}

/* ---- calls that have ended ---- */

/* One that nobody waited for. */
static void on_detached_end(struct call *c)
{
	struct gpufn_http *f = c->broker->front;

	http_events_tell(&f->listeners, c);
	run_soon(f);
}

static void resume(struct request *q)
{
	if (!q->suspended)
		return;
	q->suspended = false;
	if (q->hangup.fd >= 0)
		loop_remove(&q->front->broker->loop, &q->hangup);
	MHD_resume_connection(q->connection);
}

static void on_end(struct call *c)
{
	struct request *q = c->data_of_done;
	struct gpufn_http *f = q->front;

	resume(q);
	run_soon(f);
}

/* The client hung up, or sends what nobody asked for. */
static void on_hangup(struct source *s)
{
	struct request *q = s->data;
	char byte;
	ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	loop_remove(&q->front->broker->loop, s);
	if (n <= 0)
		call_finish(q->call, CALL_CANCELLED, "the client hung up");
}

static enum MHD_Result suspend(struct request *q)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	q->call->done = on_end;
	q->call->data_of_done = q;
	q->hangup = (struct source){ .fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0), .ready = on_hangup, .data = q };
	if (q->hangup.fd >= 0 && loop_add(&q->front->broker->loop, &q->hangup))
		q->hangup.fd = -1;
	q->suspended = true;
	MHD_suspend_connection(q->connection);
	return MHD_YES;
}

static enum MHD_Result answer_refusal(struct request *q, enum call_refusal refusal, double earliest)
{
	struct MHD_Connection *c = q->connection;

	switch (refusal) {
	case CALL_TOO_MANY:
		return http_answer_error(c, MHD_HTTP_TOO_MANY_REQUESTS, "%s has %u calls under way, which is all it may",
					 q->tenant->name, q->tenant->nr_calls);
	case CALL_TOO_LARGE:
		return http_answer_error(c, MHD_HTTP_TOO_MANY_REQUESTS,
					 "it wants %llu bytes, and %s has %llu of the %llu that its calls may have at a time",
					 (unsigned long long)call_bytes(&q->fn), q->tenant->name,
					 (unsigned long long)q->tenant->memory_used, (unsigned long long)q->tenant->memory);
	case CALL_TOO_LATE:
		return http_answer_json(
			c, MHD_HTTP_SERVICE_UNAVAILABLE,
			json_pack("{s:s, s:f}", "error", "it cannot be done by its deadline", "earliest_seconds", earliest));
	case CALL_NO_DEVICE:
		return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
					 "no device has the memory for it, or none can be started");
	default:
		return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the broker is out of memory");
	}
}

/* What was held for the upload is free again, or the call's. */
static void give_back(struct request *q)
{
	if (q->reserved)
		q->tenant->memory_used -= q->reserved;
	q->reserved = 0;
}

/* All of the inputs are there. */
static enum MHD_Result begin(struct request *q)
{
	double earliest = 0;
	int data = q->data;
	enum call_refusal refusal;

	if (q->library_nr != q->front->broker->library_nr) /* what @fn points to may be no more */
		return http_answer_error(q->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
					 "functions have changed while the inputs came; try again");
	q->data = -1;
	give_back(q);
	refusal =
		call_begin(q->front->broker, q->tenant, &q->fn, q->values, data, q->deadline, q->priority, &q->call, &earliest);
	if (refusal != CALL_TAKEN)
		return answer_refusal(q, refusal, earliest);
	if (q->call->end == CALL_RUNS && q->wait)
		return suspend(q);
	if (q->wait)
		return http_answer_ended(q->connection, q->call);
	q->call->done = on_detached_end;
	return http_answer_json(q->connection, MHD_HTTP_ACCEPTED, json_pack("{s:I}", "call", (json_int_t)q->call->id));
}

/* ---- what a request says ---- */

struct reading {
	struct request *q;
	struct fn_value values[FN_ARGS_MAX + 4];
	size_t n;
	char why[192];
};

static enum MHD_Result take_parameter(void *data, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct reading *r = data;
	struct request *q = r->q;
	char *end = "";

	(void)kind;
	value = value ?: "";
	if (!strcmp(key, "deadline")) {
		q->deadline = strtod(value, &end);
		if (end == value || *end || !isfinite(q->deadline) || q->deadline <= 0)
			snprintf(r->why, sizeof(r->why), "deadline: '%.40s' is no number of seconds above 0", value);
	} else if (!strcmp(key, "priority")) {
		q->priority = *value >= '0' && *value < '0' + GPUFN_PRIORITIES && !value[1] ? (unsigned int)(*value - '0')
											    : ~0U;
		if (q->priority == ~0U)
			snprintf(r->why, sizeof(r->why), "priority: '%.40s' is not 0 to %d", value, GPUFN_PRIORITIES - 1);
	} else if (!strcmp(key, "wait")) {
		q->wait = strcmp(value, "0") != 0;
		if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
			snprintf(r->why, sizeof(r->why), "wait: '%.40s' is neither 0 nor 1", value);
	} else if (r->n < ARRAY_SIZE(r->values)) {
		r->values[r->n++] = (struct fn_value){ key, value };
	}
	return r->why[0] ? MHD_NO : MHD_YES;
}

/* As an executor parses it again. */
static bool put_values(struct request *q, const struct reading *r)
{
	size_t at = 0;

	for (size_t i = 0; i < r->n; i++) {
		int n = snprintf(q->values + at, sizeof(q->values) - at, "%s%s=%s", at ? " " : "", r->values[i].name,
				 r->values[i].text);

		if (n < 0 || (size_t)n >= sizeof(q->values) - at)
			return false;
		at += (size_t)n;
	}
	return true;
}

static int make_data(const struct fn_call *fn)
{
	__u64 size = gpufn_outputs_at(fn->input_bytes) + fn->output_bytes;
	int fd = memfd_create("nestor-gpufn", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	/* Whoever has it mapped must not find it shorter. */
	if (!ftruncate(fd, (off_t)size) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	close(fd);
	return -1;
}

/* Content-Length has to be just what the inputs are. */
static enum MHD_Result check_body(struct request *q)
{
	struct MHD_Connection *c = q->connection;
	const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	char *end;
	unsigned long long length = text ? strtoull(text, &end, 10) : 0;

	if (!text && (q->fn.input_bytes || MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING)))
		return http_answer_error(c, MHD_HTTP_LENGTH_REQUIRED,
					 "how long the inputs are has to be told by Content-Length");
	if (length != q->fn.input_bytes)
		return http_answer_error(c, MHD_HTTP_BAD_REQUEST, "the inputs are %llu bytes, and these numbers want %llu",
					 length, (unsigned long long)q->fn.input_bytes);
	/* Before anything is uploaded; it is looked at again when all is there. */
	if (q->front->broker->enforce && q->tenant->memory_used + call_bytes(&q->fn) > q->tenant->memory) {
		q->tenant->counts.refused_memory++;
		return answer_refusal(q, CALL_TOO_LARGE, 0);
	}
	q->data = make_data(&q->fn);
	if (q->data < 0)
		return answer_refusal(q, CALL_NO_MEMORY, 0);
	q->reserved = call_bytes(&q->fn);
	q->tenant->memory_used += q->reserved;
	return MHD_YES;
}

static enum MHD_Result start_call(struct request *q, const char *name)
{
	const struct function *f = library_find(&q->front->broker->library, name);
	struct reading r = { .q = q };
	char why[192];

	if (!f)
		return http_answer_error(q->connection, MHD_HTTP_NOT_FOUND, "there is no function '%.40s'", name);
	MHD_get_connection_values(q->connection, MHD_GET_ARGUMENT_KIND, take_parameter, &r);
	if (r.why[0])
		return http_answer_error(q->connection, MHD_HTTP_BAD_REQUEST, "%s", r.why);
	q->library_nr = q->front->broker->library_nr;
	if (fn_call_make(f, r.values, r.n, &q->fn, why))
		return http_answer_error(q->connection, MHD_HTTP_BAD_REQUEST, "%s", why);
	if (q->priority > q->tenant->priority)
		return http_answer_error(q->connection, MHD_HTTP_FORBIDDEN, "priority: calls of %s may have up to %u",
					 q->tenant->name, q->tenant->priority);
	if (!put_values(q, &r))
		return http_answer_error(q->connection, MHD_HTTP_BAD_REQUEST, "these numbers are too long");
	return check_body(q);
}

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
		return start_call(q, rest);
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

static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct request *q = *state;
	const union MHD_ConnectionInfo *info;

	(void)version;
	if (!q) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return MHD_NO;
		*q = (struct request){ .front = data, .connection = c, .deadline = INFINITY, .wait = true, .data = -1 };
		q->hangup.fd = -1;
		*state = q;
		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		q->tenant = info && info->socket_context ? ((struct peer *)info->socket_context)->tenant : NULL;
		if (!q->tenant || !q->tenant->named)
			return http_answer_error(c, MHD_HTTP_FORBIDDEN,
						 "no policy names you: neither your container nor your user is a tenant");
		return route(q, method, url);
	}
	if (*upload_size) {
		ssize_t n = q->data < 0 ? -1 : pwrite(q->data, upload, *upload_size, (off_t)q->received);

		if (n != (ssize_t)*upload_size)
			return MHD_NO;
		q->received += *upload_size;
		*upload_size = 0;
		return MHD_YES;
	}
	if (q->call)
		return http_answer_ended(c, q->call);
	return begin(q);
}

static void on_completed(void *data, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct request *q = *state;

	(void)data;
	(void)c;
	(void)code;
	if (!q)
		return;
	if (q->hangup.fd >= 0)
		loop_remove(&q->front->broker->loop, &q->hangup);
	close_p(&q->data);
	give_back(q);
	if (q->call && q->wait) {
		q->call->done = NULL;
		call_free(q->call);
	}
	free(q);
	*state = NULL;
}

static void on_connection(void *data, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode code)
{
	int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct gpufn_http *f = data;
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
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
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
	p->tenant = tenant_of(f->broker, who.pid, who.uid);
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
	run_soon(f);
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
	if (f->daemon)
		MHD_stop_daemon(f->daemon);
	free(f);
	b->front = NULL;
}
