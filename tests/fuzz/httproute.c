// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 256
 * Which page a path is, and whether a Host may ask for it: nothing is served that is not listed, and no name is accepted
 * that somebody else could own. A path, a line feed, a Host.
 */
#include <strings.h>

#include "agent/lib/buf.h"
#include "agent/http/route.h"
#include "agent/room.h"
#include "tests/fuzz/fuzz.h"

#define ALLOWED "good.example,other"

static const struct room one = { .name = "one" }, two = { .name = "two" };
static const struct room *const rooms[] = { &one, &two };
enum { nr_rooms = 2 };

static void check_route(const char *url)
{
	struct route r = http_route(url, rooms, nr_rooms);

	MUST(r.kind == ROUTE_NONE || *url == '/');
	MUST(r.kind != ROUTE_FILE || (r.len > 0 && r.text && r.type && !strstr(url, "..")));
	if (r.kind != ROUTE_DOCUMENT)
		return;
	MUST(r.type && r.request.document < DOCUMENTS && r.request.room < nr_rooms);
	MUST(r.request.document != DOC_ROOM || !strcmp(url + strlen("/api/v1/"), rooms[r.request.room]->name));
	if (r.request.after) {
		char same[64];

		snprintf(same, sizeof(same), "%llu", r.request.after);
		url += strlen("/api/v1/history/");
		MUST(!strcmp(url + strspn(url, "0"), same));
	}
}

/* The name without its port, if that is one. */
static size_t name_len(const char *host)
{
	const char *end = *host == '[' ? strchr(host, ']') : NULL;
	size_t len = end ? (size_t)(end - host) + 1 : strcspn(host, ":");

	MUST(!host[len] || (host[len] == ':' && strspn(host + len + 1, "0123456789") == strlen(host + len + 1)));
	return len;
}

static bool is_name(const char *host, size_t len, const char *name)
{
	return len == strlen(name) && !strncasecmp(host, name, len);
}

static void check_host(const char *host)
{
	size_t len;

	if (!http_host_allowed(host, ALLOWED))
		return;
	len = name_len(host);
	if (*host == '[')
		MUST(len > 3 && strspn(host + 1, "0123456789abcdefABCDEF:.") == len - 2);
	else
		MUST(is_name(host, len, "localhost") || is_name(host, len, "good.example") || is_name(host, len, "other") ||
		     (len >= 7 && strspn(host, "0123456789.") >= len));
	MUST(http_host_allowed(host, "") || is_name(host, len, "good.example") || is_name(host, len, "other"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *url = take_until(&in, '\n'), *host = take_rest(&in);

	check_route(url);
	check_host(host);
	free(url);
	free(host);
	return 0;
}
