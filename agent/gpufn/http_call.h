/* SPDX-License-Identifier: GPL-2.0 */
/* A request that calls a function: what it says, its inputs, and the connection while the call runs. */
#ifndef NESTOR_GPUFN_HTTP_CALL_H
#define NESTOR_GPUFN_HTTP_CALL_H

#include <microhttpd.h>

#include "agent/gpufn/broker.h"
#include "agent/gpufn/http_events.h"

struct gpufn_http {
	struct broker *broker;
	struct MHD_Daemon *daemon;
	struct source events; /* libmicrohttpd's */
	struct source soon; /* a timer */
	unsigned int strangers; /* connections of who is no tenant */
	struct listeners listeners;
	double beat;
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

/* Its head is there: 100 Continue, or why it is refused. Memory for all that the call takes is reserved before any input comes.
 */
enum MHD_Result http_call_open(struct request *q, const char *function);
/* False: there is no room for these @n bytes of inputs, and the connection is to be closed. */
bool http_call_upload(struct request *q, const char *bytes, size_t n);
/* All of its inputs are there. */
enum MHD_Result http_call_begin(struct request *q);
/* The request is over, however that came about. */
void http_call_close(struct request *q);

/* Whatever was resumed is seen to, not at once: libmicrohttpd may be in the middle of something else. */
void http_run_soon(struct gpufn_http *f);

#endif
