// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/buf.h"
#include "agent/gpufn/http_answer.h"
#include "agent/gpufn/http_events.h"
#include "agent/lib/util.h"

#define EVENTS_MAX (64 * 1024) /* bytes for a listener who does not read */

struct listener {
	LIST_ENTRY(listener) entry;
	struct MHD_Connection *connection;
	struct tenant *tenant;
	struct buf text;
	size_t sent;
	bool suspended, overrun, closing;
};

static ssize_t read_events(void *data, uint64_t at, char *to, size_t max)
{
	struct listener *l = data;
	size_t n = l->text.len - l->sent;

	(void)at;
	if (l->overrun)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n && l->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!n) {
		l->suspended = true;
		MHD_suspend_connection(l->connection);
		return 0;
	}
	n = n < max ? n : max;
	memcpy(to, l->text.text + l->sent, n);
	l->sent += n;
	if (l->sent == l->text.len) {
		buf_clear(&l->text);
		l->sent = 0;
	}
	return (ssize_t)n;
}

static void free_listener(void *data)
{
	struct listener *l = data;

	LIST_REMOVE(l, entry);
	buf_free(&l->text);
	free(l);
}

static void resume(struct listener *l)
{
	if (l->suspended)
		MHD_resume_connection(l->connection);
	l->suspended = false;
}

static void tell(struct listener *l, const char *text)
{
	if (l->text.len > EVENTS_MAX)
		l->overrun = true;
	else
		buf_str(&l->text, text);
	l->overrun |= l->text.failed;
	resume(l);
}

enum MHD_Result http_events_listen(struct listeners *all, struct MHD_Connection *c, struct tenant *t)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct MHD_Response *r;

	if (!l)
		return MHD_NO;
	l->connection = c;
	l->tenant = t;
	LIST_INSERT_HEAD(&all->list, l, entry);
	buf_str(&l->text, ": calls that end\n\n");
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_events, l, free_listener);
	if (!r) {
		free_listener(l);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return http_answer(c, MHD_HTTP_OK, r);
}

void http_events_tell(struct listeners *all, const struct call *c)
{
	_free_ char *text = NULL, *event = NULL;
	json_t *body = http_answer_call_json(c);
	struct listener *l;

	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text || asprintf(&event, "event: call\ndata: %s\n\n", text) < 0)
		return;
	LIST_FOREACH (l, &all->list, entry)
		if (l->tenant == c->tenant)
			tell(l, event);
}

void http_events_beat(struct listeners *all)
{
	struct listener *l;

	LIST_FOREACH (l, &all->list, entry)
		tell(l, ":\n\n");
}

void http_events_close(struct listeners *all)
{
	struct listener *l;

	LIST_FOREACH (l, &all->list, entry) {
		l->closing = true;
		resume(l);
	}
}
