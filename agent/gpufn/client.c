// SPDX-License-Identifier: GPL-2.0
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "agent/gpufn/client.h"

#define SOCKET "/run/nestor/gpufn.sock"

struct gpufn_client {
	CURL *curl;
	char error[512];
	struct gpufn_outputs *outputs; /* of the call that is under way */
	size_t capacity;
};

/*
 * Opened with the first client: libcurl brings twenty libraries, and nestorctl, which is started over and over, mostly to ask
 * for something else, has no use for them.
 */
static struct {
	bool there;
	__typeof__(&curl_easy_init) init;
	__typeof__(&curl_easy_setopt) set;
	__typeof__(&curl_easy_perform) perform;
	__typeof__(&curl_easy_getinfo) get;
	__typeof__(&curl_easy_strerror) error;
	__typeof__(&curl_easy_escape) escape;
	__typeof__(&curl_easy_cleanup) cleanup;
	__typeof__(&curl_slist_append) append;
	__typeof__(&curl_slist_free_all) free_all;
	__typeof__(&curl_free) free;
} curl;

static void open_curl(void)
{
	const struct {
		void *to;
		const char *name;
	} functions[] = {
		{ &curl.init, "curl_easy_init" },	   { &curl.set, "curl_easy_setopt" },
		{ &curl.perform, "curl_easy_perform" },	   { &curl.get, "curl_easy_getinfo" },
		{ &curl.error, "curl_easy_strerror" },	   { &curl.escape, "curl_easy_escape" },
		{ &curl.cleanup, "curl_easy_cleanup" },	   { &curl.append, "curl_slist_append" },
		{ &curl.free_all, "curl_slist_free_all" }, { &curl.free, "curl_free" },
	};

	void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	curl.there = lib;
	for (size_t i = 0; curl.there && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *at = dlsym(lib, functions[i].name);

		curl.there = at;
		memcpy(functions[i].to, &at, sizeof(at));
	}
}

static int fail(struct gpufn_client *c, int err, const char *text)
{
	snprintf(c->error, sizeof(c->error), "%s", text);
	return err;
}

/* ---- what comes ---- */

static size_t take_body(char *from, size_t one, size_t n, void *data)
{
	struct gpufn_client *c = data;
	struct gpufn_outputs *o = c->outputs;

	if (o->size + n > c->capacity) {
		size_t more = (o->size + n) * 2;
		void *at = realloc(o->at, more);

		if (!at)
			return 0;
		o->at = at;
		c->capacity = more;
	}
	memcpy((char *)o->at + o->size, from, n * one);
	o->size += n;
	return n;
}

static size_t take_header(char *from, size_t one, size_t n, void *data)
{
	struct gpufn_client *c = data;
	struct gpufn_outputs *o = c->outputs;
	char line[128];

	snprintf(line, sizeof(line), "%.*s", (int)n, from);
	sscanf(line, "Nestor-Seconds: %lf", &o->seconds);
	sscanf(line, "Nestor-Device-Seconds: %lf", &o->device_seconds);
	sscanf(line, "Nestor-Slices: %u", &o->slices);
	sscanf(line, "Nestor-Devices: %u", &o->devices);
	sscanf(line, "Nestor-Late: %d", &o->late);
	return n * one;
}

/* ---- calls ---- */

static int err_of(long status)
{
	switch (status) {
	case 400:
	case 411:
		return -EINVAL;
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 429:
		return -EBUSY;
	case 504:
		return -ETIME;
	default:
		return -EIO;
	}
}

/* Of an answer that is no output: {"error": …}, and the earliest end if that was too late. */
static int refused(struct gpufn_client *c, long status)
{
	json_t *body = c->outputs->size ? json_loadb(c->outputs->at, c->outputs->size, 0, NULL) : NULL;
	const json_t *earliest = json_object_get(body, "earliest_seconds");
	const char *text = json_string_value(json_object_get(body, "error"));

	if (earliest)
		snprintf(c->error, sizeof(c->error), "%s; it could be in %.6f s", text ? text : "refused",
			 json_number_value(earliest));
	else
		snprintf(c->error, sizeof(c->error), "%s", text ? text : "refused without a reason");
	free(c->outputs->at);
	*c->outputs = (struct gpufn_outputs){ 0 };
	status = earliest ? -ETIME : err_of(status);
	json_decref(body);
	return (int)status;
}

int gpufn_client_call(struct gpufn_client *c, const char *function, const char *values, const void *inputs, size_t size,
		      struct gpufn_outputs *ret)
{
	char *name = curl.escape(c->curl, function, 0);
	struct curl_slist *headers = curl.append(NULL, "Expect:");
	char url[1024] = "";
	long status = 0;
	CURLcode code;

	*ret = (struct gpufn_outputs){ 0 };
	c->outputs = ret;
	c->capacity = 0;
	if (name && headers)
		snprintf(url, sizeof(url), "http://nestor/v1/functions/%s?%s", name, values ? values : "");
	curl.free(name);
	curl.set(c->curl, CURLOPT_URL, url);
	curl.set(c->curl, CURLOPT_HTTPHEADER, headers);
	curl.set(c->curl, CURLOPT_POSTFIELDS, inputs ? inputs : "");
	curl.set(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	code = curl.perform(c->curl);
	curl.free_all(headers);
	if (code) {
		free(ret->at);
		*ret = (struct gpufn_outputs){ 0 };
		return fail(c, code == CURLE_COULDNT_CONNECT ? -ECONNREFUSED : -EIO, curl.error(code));
	}
	curl.get(c->curl, CURLINFO_RESPONSE_CODE, &status);
	return status == 200 ? 0 : refused(c, status);
}

const char *gpufn_client_error(const struct gpufn_client *c)
{
	return c->error;
}

/* ---- life ---- */

struct gpufn_client *gpufn_client_new(const char *socket)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct gpufn_client *c = calloc(1, sizeof(*c));

	if (!socket)
		socket = getenv("NESTOR_GPUFN_SOCKET");
	pthread_once(&once, open_curl); /* several threads may make their clients at a time */
	if (c && curl.there)
		c->curl = curl.init();
	if (!c || !c->curl) {
		free(c);
		return NULL;
	}
	curl.set(c->curl, CURLOPT_UNIX_SOCKET_PATH, socket ? socket : SOCKET);
	curl.set(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl.set(c->curl, CURLOPT_PROXY, "");
	curl.set(c->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl.set(c->curl, CURLOPT_WRITEDATA, c);
	curl.set(c->curl, CURLOPT_HEADERFUNCTION, take_header);
	curl.set(c->curl, CURLOPT_HEADERDATA, c);
	return c;
}

void gpufn_client_free(struct gpufn_client *c)
{
	if (c)
		curl.cleanup(c->curl);
	free(c);
}
