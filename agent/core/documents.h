/* SPDX-License-Identifier: GPL-2.0 */
/* The documents that the agent makes of its state, for httpd and nestorctl alike. */
#ifndef NESTOR_DOCUMENTS_H
#define NESTOR_DOCUMENTS_H

#include <linux/types.h>

#include "agent/lib/buf.h"

struct agent;

enum document {
	DOC_METRICS, /* Prometheus text */
	DOC_ROOMS, /* the rest is JSON */
	DOC_STATUS,
	DOC_POLICY,
	DOC_CONTAINERS,
	DOC_VMS,
	DOC_HISTORY, /* agent/base/history.h */
	DOC_ROOM, /* what one room shows */
	DOCUMENTS
};

/* What httpd may ask for: numbers, nothing that a network client wrote. */
struct doc_request {
	__u32 document;
	__u32 room; /* its place in agent->rooms, for DOC_ROOM */
	__u64 after; /* number of a sample, for DOC_HISTORY */
};

/* 0; -EINVAL for a document that does not exist; -ENETDOWN if the room is off; -ENOMEM. */
int documents_make(struct agent *a, const struct doc_request *request, struct buf *out);

#endif
