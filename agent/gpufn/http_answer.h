/* SPDX-License-Identifier: GPL-2.0 */
/* What the broker of GPU functions answers to requests. */
#ifndef NESTOR_GPUFN_HTTP_ANSWER_H
#define NESTOR_GPUFN_HTTP_ANSWER_H

#include <microhttpd.h>

#include "agent/gpufn/broker.h"

/* All take what they answer with, and return what libmicrohttpd wants to have returned. @response and @body: NULL is no memory.
 */
enum MHD_Result http_answer(struct MHD_Connection *c, unsigned int code, struct MHD_Response *response);
enum MHD_Result http_answer_json(struct MHD_Connection *c, unsigned int code, json_t *body);
/* {"error": …} */
enum MHD_Result http_answer_error(struct MHD_Connection *c, unsigned int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The outputs of a call that has ended, or why there are none. */
enum MHD_Result http_answer_ended(struct MHD_Connection *c, const struct call *call);

json_t *http_answer_call_json(const struct call *c); /* a new reference */

#endif
