// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/gpufn/http_answer.h"
#include "agent/gpufn/http_call.h"
#include "agent/lib/util.h"

void http_run_soon(struct gpufn_http *f)
{
	loop_timer_rearm(f->soon.fd, 1, 0);
}

/* ---- calls that have ended ---- */

/* One that nobody waited for. */
static void on_detached_end(struct call *c)
{
	struct gpufn_http *f = c->broker->front;

	http_events_tell(&f->listeners, c);
	http_run_soon(f);
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
	http_run_soon(f);
}

/* Nobody is there to read the answer. A client that ended only its sending side still is. */
static void on_hangup(struct source *s)
{
	struct request *q = s->data;

	loop_remove(&q->front->broker->loop, s);
	call_finish(q->call, CALL_CANCELLED, "the client hung up");
}

static enum MHD_Result suspend(struct request *q)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	q->call->done = on_end;
	q->call->data_of_done = q;
	q->hangup = (struct source){ .fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0), .ready = on_hangup, .data = q };
	if (q->hangup.fd >= 0 && loop_add_hangup(&q->front->broker->loop, &q->hangup))
		loop_remove(&q->front->broker->loop, &q->hangup); /* its end is found when the answer is sent */
	q->suspended = true;
	MHD_suspend_connection(q->connection);
	return MHD_YES;
}

/* ---- refusals ---- */

static enum MHD_Result answer_no_room(struct request *q, enum call_refusal refusal)
{
	const struct broker *b = q->front->broker;
	unsigned long long bytes = call_bytes(&q->fn);

	if (refusal == CALL_TOO_LARGE)
		return http_answer_error(q->connection, MHD_HTTP_TOO_MANY_REQUESTS,
					 "it wants %llu bytes, and %s has %llu of the %llu that its calls may have at a time",
					 bytes, q->tenant->name, (unsigned long long)q->tenant->memory_used,
					 (unsigned long long)q->tenant->memory);
	if (refusal == CALL_NEVER)
		return http_answer_error(q->connection, MHD_HTTP_CONTENT_TOO_LARGE,
					 "it wants %llu bytes, more than %s may have of the %llu for all calls", bytes,
					 q->tenant->name, (unsigned long long)b->memory);
	return http_answer_error(q->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "it wants %llu bytes, and all calls have %llu of the %llu that they may have; try again later",
				 bytes, (unsigned long long)b->memory_used, (unsigned long long)b->memory);
}

static enum MHD_Result answer_refusal(struct request *q, enum call_refusal refusal, double earliest)
{
	struct MHD_Connection *c = q->connection;

	switch (refusal) {
	case CALL_TOO_MANY:
		return http_answer_error(c, MHD_HTTP_TOO_MANY_REQUESTS, "%s has %u calls under way, which is all it may",
					 q->tenant->name, q->tenant->nr_calls);
	case CALL_TOO_LARGE:
	case CALL_NO_ROOM:
	case CALL_NEVER:
		return answer_no_room(q, refusal);
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

/* ---- what its head says ---- */

struct reading {
	struct request *q;
	struct fn_value values[FN_ARGS_MAX + 4];
	size_t n;
	bool had_deadline, had_priority, had_wait;
	char why[192];
};

static void take_deadline(struct reading *r, const char *value)
{
	struct request *q = r->q;
	char *end;

	q->deadline = strtod(value, &end);
	if (isspace((unsigned char)*value) || end == value || *end || !isfinite(q->deadline) || q->deadline <= 0)
		snprintf(r->why, sizeof(r->why), "deadline: '%.40s' is no number of seconds above 0", value);
}

static void take_priority(struct reading *r, const char *value)
{
	if (*value >= '0' && *value < '0' + GPUFN_PRIORITIES && !value[1])
		r->q->priority = (unsigned int)(*value - '0');
	else
		snprintf(r->why, sizeof(r->why), "priority: '%.40s' is not 0 to %d", value, GPUFN_PRIORITIES - 1);
}

static void take_wait(struct reading *r, const char *value)
{
	r->q->wait = strcmp(value, "0") != 0;
	if (r->q->wait && strcmp(value, "1") != 0)
		snprintf(r->why, sizeof(r->why), "wait: '%.40s' is neither 0 nor 1", value);
}

/* True: it is one of the call's own words, not a scalar. */
static bool take_word(struct reading *r, const char *key, const char *value)
{
	const struct {
		const char *key;
		bool *had;
		void (*take)(struct reading *r, const char *value);
	} words[] = { { "deadline", &r->had_deadline, take_deadline },
		      { "priority", &r->had_priority, take_priority },
		      { "wait", &r->had_wait, take_wait } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(key, words[i].key) != 0)
			continue;
		if (*words[i].had)
			snprintf(r->why, sizeof(r->why), "%s is given twice", key);
		else
			words[i].take(r, value);
		*words[i].had = true;
		return true;
	}
	return false;
}

static enum MHD_Result take_parameter(void *data, enum MHD_ValueKind kind, const char *key, size_t key_size, const char *value,
				      size_t value_size)
{
	struct reading *r = data;

	(void)kind;
	value = value ?: "";
	if (strlen(key) != key_size || strlen(value) != value_size)
		snprintf(r->why, sizeof(r->why), "%.40s: has a NUL character", key);
	else if (!take_word(r, key, value) && r->n < ARRAY_SIZE(r->values))
		r->values[r->n++] = (struct fn_value){ key, value };
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

struct lengths {
	unsigned int nr;
	const char *length; /* the first */
	bool encoded;
};

static enum MHD_Result take_header(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct lengths *l = data;

	(void)kind;
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) && !l->nr++)
		l->length = value ?: "";
	l->encoded |= !strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	return MHD_YES;
}

/* Content-Length has to be just what the inputs are, and nothing else may tell of a length. */
static enum MHD_Result check_length(struct request *q, bool *ret_right)
{
	struct MHD_Connection *c = q->connection;
	struct lengths l = { 0 };
	unsigned long long length;

	MHD_get_connection_values(c, MHD_HEADER_KIND, take_header, &l);
	if (!l.nr && (q->fn.input_bytes || l.encoded))
		return http_answer_error(c, MHD_HTTP_LENGTH_REQUIRED, "Content-Length is required");
	if (l.nr > 1 || (l.nr && l.encoded))
		return http_answer_error(c, MHD_HTTP_BAD_REQUEST,
					 "there is %s beside Content-Length, so the length of the inputs is not known",
					 l.encoded ? "Transfer-Encoding" : "another one");
	length = l.nr ? strtoull(l.length, NULL, 10) : 0;
	if (l.nr && strspn(l.length, "0123456789") != strlen(l.length))
		return http_answer_error(c, MHD_HTTP_BAD_REQUEST, "Content-Length: '%.40s' is no number", l.length);
	if (length != q->fn.input_bytes)
		return http_answer_error(c, MHD_HTTP_BAD_REQUEST, "the inputs are %llu bytes, and these numbers want %llu",
					 length, (unsigned long long)q->fn.input_bytes);
	*ret_right = true;
	return MHD_YES;
}

/* ---- inputs ---- */

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

/* Before anything is uploaded; it is looked at again when all is there. */
static enum MHD_Result reserve(struct request *q)
{
	enum call_refusal refusal = call_room(q->front->broker, q->tenant, call_bytes(&q->fn));

	if (refusal != CALL_TAKEN)
		return answer_refusal(q, refusal, 0);
	q->data = make_data(&q->fn);
	if (q->data < 0)
		return answer_refusal(q, CALL_NO_MEMORY, 0);
	q->reserved = call_bytes(&q->fn);
	tenant_take_memory(q->front->broker, q->tenant, q->reserved);
	return MHD_YES;
}

/* What was held for the upload is free again, or the call's. */
static void give_back(struct request *q)
{
	tenant_give_memory(q->front->broker, q->tenant, q->reserved);
	q->reserved = 0;
}

enum MHD_Result http_call_open(struct request *q, const char *name)
{
	const struct function *f = library_find(&q->front->broker->library, name);
	struct reading r = { .q = q };
	enum MHD_Result result;
	bool right = false;
	char why[192];

	if (!f)
		return http_answer_error(q->connection, MHD_HTTP_NOT_FOUND, "there is no function '%.40s'", name);
	MHD_get_connection_values_n(q->connection, MHD_GET_ARGUMENT_KIND, take_parameter, &r);
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
	result = check_length(q, &right);
	return right ? reserve(q) : result;
}

bool http_call_upload(struct request *q, const char *bytes, size_t n)
{
	if (q->data < 0 || n > q->fn.input_bytes - q->received || pwrite(q->data, bytes, n, (off_t)q->received) != (ssize_t)n)
		return false;
	q->received += n;
	return true;
}

enum MHD_Result http_call_begin(struct request *q)
{
	double earliest = 0;
	int data = q->data;
	enum call_refusal refusal;

	if (q->received != q->fn.input_bytes)
		return http_answer_error(q->connection, MHD_HTTP_BAD_REQUEST,
					 "%llu bytes of inputs came, and Content-Length says %llu",
					 (unsigned long long)q->received, (unsigned long long)q->fn.input_bytes);
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

void http_call_close(struct request *q)
{
	if (q->hangup.fd >= 0)
		loop_remove(&q->front->broker->loop, &q->hangup);
	close_p(&q->data);
	if (q->reserved)
		give_back(q);
	if (q->call && q->wait) {
		q->call->done = NULL;
		call_free(q->call);
	}
}
