// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "agent/lib/buf.h"
#include "agent/http/route.h"
#include "agent/room.h"
#include "agent/lib/util.h"
#include "agent/lib/version.h"

/* ---- files of the page, linked in as they are (see dashboards/rules.mk) ---- */

#define PAGE(path, type, name) extern const char _binary_##name##_start[], _binary_##name##_end[];
#include "build/dashboards/page.h"
#undef PAGE

/* Types, named after the suffix of a file. */
static const char html[] = "text/html; charset=utf-8", css[] = "text/css; charset=utf-8",
		  js[] = "text/javascript; charset=utf-8", svg[] = "image/svg+xml";

static const struct file {
	const char *path, *type, *start, *end;
} files[] = {
#define PAGE(path, type, name) { path, type, _binary_##name##_start, _binary_##name##_end },
#include "build/dashboards/page.h"
#undef PAGE
};

/* ---- documents ---- */

static const char prometheus[] = "text/plain; version=0.0.4; charset=utf-8", json[] = "application/json";

static const struct document_path {
	const char *path;
	enum document document;
	const char *type;
	const char *doc;
} documents[] = {
	{ "/metrics", DOC_METRICS, prometheus, "metrics for Prometheus" },
	{ "/healthz", DOC_STATUS, json, "200 while the agent answers" },
	{ "/api/v1/status", DOC_STATUS, json, "the agent" },
	{ "/api/v1/rooms", DOC_ROOMS, json, "its rooms" },
	{ "/api/v1/policy", DOC_POLICY, json, "the policy in force" },
	{ "/api/v1/containers", DOC_CONTAINERS, json, "containers that live" },
	{ "/api/v1/vms", DOC_VMS, json, "VMs that run" },
	{ "/api/v1/history", DOC_HISTORY, json, "the last 15 minutes of the busiest; /N: what came after sample N" },
};

static const char api[] = "/api/v1/", history[] = "/api/v1/history/";

/* A number of at most 18 digits, which all fit; -1 if it is none. */
static long long parse_number(const char *text)
{
	size_t len = strlen(text);

	return len && len <= 18 && strspn(text, "0123456789") == len ? atoll(text) : -1;
}

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

/* ---- */

static struct route document(enum document document, const char *type)
{
	return (struct route){ .kind = ROUTE_DOCUMENT, .type = type, .request.document = document };
}

static struct route route_api(const char *url, const struct room *const *rooms, unsigned int nr_rooms)
{
	const char *number = after(url, history), *name = after(url, api);
	struct route r = {};
	long long n = number ? parse_number(number) : -1;

	if (n >= 0) {
		r = document(DOC_HISTORY, json);
		r.request.after = (__u64)n;
		return r;
	}
	for (unsigned int i = 0; name && i < nr_rooms; i++)
		if (!strcmp(name, rooms[i]->name)) {
			r = document(DOC_ROOM, json);
			r.request.room = i;
		}
	return r;
}

struct route http_route(const char *url, const struct room *const *rooms, unsigned int nr_rooms)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!strcmp(url, files[i].path))
			return (struct route){
				.kind = ROUTE_FILE,
				.type = files[i].type,
				.text = files[i].start,
				.len = (size_t)(files[i].end - files[i].start),
			};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		if (!strcmp(url, documents[i].path))
			return document(documents[i].document, documents[i].type);
	if (!strcmp(url, "/api/v1"))
		return (struct route){ .kind = ROUTE_INDEX };
	return route_api(url, rooms, nr_rooms);
}

void http_index(const struct room *const *rooms, unsigned int nr_rooms, struct buf *out)
{
	buf_printf(out, "Nestor %s\n\n", nestor_version);
	buf_printf(out, "%-20s %s\n%-20s %s\n", "/", "the page, for a browser", "/api/v1", "this list");
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		buf_printf(out, "%-20s %s\n", documents[i].path, documents[i].doc);
	for (unsigned int i = 0; i < nr_rooms; i++)
		buf_printf(out, "%s%-12s %s\n", api, rooms[i]->name, rooms[i]->doc);
}

/* ---- hosts ---- */

static bool is_listed(const char *host, size_t len, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n && n == len && !strncasecmp(list, host, len))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

bool http_host_allowed(const char *host, const char *allowed)
{
	bool bracket = host[0] == '[';
	size_t len = strcspn(host, bracket ? "]" : ":");
	const char *port = host + len + (bracket && host[len]);
	unsigned char address[sizeof(struct in6_addr)];
	char text[64];

	if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	if (!bracket && (is_listed(host, len, "localhost") || is_listed(host, len, allowed)))
		return true;
	host += bracket;
	len -= bracket;
	if (len >= sizeof(text) || (bracket && host[len] != ']'))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return inet_pton(bracket ? AF_INET6 : AF_INET, text, address) == 1;
}
