// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/gpufn/http_answer.h"
#include "agent/lib/json_text.h"
#include "agent/lib/util.h"

enum MHD_Result http_answer(struct MHD_Connection *c, unsigned int code, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_queue_response(c, code, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result http_answer_json(struct MHD_Connection *c, unsigned int code, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct MHD_Response *response;

	json_decref(body);
	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (response) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
		if (code == MHD_HTTP_TOO_MANY_REQUESTS)
			MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	}
	return http_answer(c, code, response);
}

enum MHD_Result http_answer_error(struct MHD_Connection *c, unsigned int code, const char *fmt, ...)
{
	char text[GPUFN_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return http_answer_json(c, code, json_pack("{s:o}", "error", json_text(text)));
}

static void add_header(struct MHD_Response *r, const char *name, const char *fmt, double value)
{
	char text[32];

	snprintf(text, sizeof(text), fmt, value);
	MHD_add_response_header(r, name, text);
}

static enum MHD_Result answer_outputs(struct MHD_Connection *c, const struct call *call)
{
	int fd = fcntl(call->data, F_DUPFD_CLOEXEC, 0);
	struct MHD_Response *r = fd < 0 ? NULL
					: MHD_create_response_from_fd_at_offset64(call->fn.output_bytes, fd,
										  gpufn_outputs_at(call->fn.input_bytes));

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream");
	add_header(r, "Nestor-Seconds", "%.6f", call->ended - call->arrived);
	add_header(r, "Nestor-Compile-Seconds", "%.6f", call->compile_seconds);
	add_header(r, "Nestor-Device-Seconds", "%.6f", call->device_seconds);
	add_header(r, "Nestor-Slices", "%.0f", (double)call->slices);
	add_header(r, "Nestor-Devices", "%.0f", call->nr_parts);
	if (call->end == CALL_LATE)
		MHD_add_response_header(r, "Nestor-Late", "1");
	return http_answer(c, MHD_HTTP_OK, r);
}

enum MHD_Result http_answer_ended(struct MHD_Connection *c, const struct call *call)
{
	if (call->end == CALL_DONE || call->end == CALL_LATE)
		return answer_outputs(c, call);
	return http_answer_error(c,
				 call->end == CALL_DROPPED ? MHD_HTTP_GATEWAY_TIMEOUT
				 : call->stale		   ? MHD_HTTP_SERVICE_UNAVAILABLE
							   : MHD_HTTP_INTERNAL_SERVER_ERROR,
				 "%s", call->why);
}

json_t *http_answer_call_json(const struct call *c)
{
	return json_pack("{s:I, s:s, s:s, s:f, s:f, s:f, s:I, s:o}", "call", (json_int_t)c->id, "function", c->function,
			 "state", call_state(c), "seconds", (c->end == CALL_RUNS ? now_s() : c->ended) - c->arrived,
			 "compile_seconds", c->compile_seconds, "device_seconds", c->device_seconds, "slices",
			 (json_int_t)c->slices, "error", json_text(c->why));
}
