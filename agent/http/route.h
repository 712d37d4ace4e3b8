/* SPDX-License-Identifier: GPL-2.0 */
/* What a request for a path is answered with, and which names this machine may be called by. Pure functions. */
#ifndef NESTOR_ROUTE_H
#define NESTOR_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/documents.h"

struct buf;
struct room;

enum route_kind {
	ROUTE_NONE, /* there is no such page */
	ROUTE_INDEX, /* the list of all */
	ROUTE_FILE, /* of the page at "/" */
	ROUTE_DOCUMENT, /* nestord makes it */
};

struct route {
	enum route_kind kind;
	const char *type; /* of a file or document: Content-Type */
	const char *text; /* of a file */
	size_t len;
	struct doc_request request; /* of a document */
};

/* @url: a path without query. */
struct route http_route(const char *url, const struct room *const *rooms, unsigned int nr_rooms);

/* The list of all pages, as text. */
void http_index(const struct room *const *rooms, unsigned int nr_rooms, struct buf *out);

/*
 * May a request be for @host, the value of its Host header? DNS rebinding needs a name that an attacker owns: an
 * address, localhost and the comma-separated names in @allowed are what a browser cannot be tricked into sending here.
 */
bool http_host_allowed(const char *host, const char *allowed);

#endif
