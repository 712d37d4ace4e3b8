/* SPDX-License-Identifier: GPL-2.0 */
/* Server-sent events: who listens hears of each call of his tenant's that nobody waited for, when it ends. */
#ifndef NESTOR_GPUFN_HTTP_EVENTS_H
#define NESTOR_GPUFN_HTTP_EVENTS_H

#include <sys/queue.h>

#include <microhttpd.h>

struct call;
struct tenant;

struct listeners {
	LIST_HEAD(, listener) list;
};

/* Answers the request; the listener goes with its connection. */
enum MHD_Result http_events_listen(struct listeners *all, struct MHD_Connection *c, struct tenant *t);
/* Connections are resumed, which libmicrohttpd sees to at its next run. */
void http_events_tell(struct listeners *all, const struct call *c);
void http_events_beat(struct listeners *all); /* a sign of life, at which dead connections are found */
/* All end with what they have been told so far: MHD_stop_daemon() aborts if a connection is suspended. */
void http_events_close(struct listeners *all);

#endif
