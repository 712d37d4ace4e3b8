/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract of a room: all that the core knows of it. A room is a folder agent/<stem>/, of which
 * <stem>.c exports one `const struct room room_<stem>`, and a word in agent/rooms.h. A room includes no other room's header.
 *
 * Calls come from the agent's one thread. A room is not started while policy has it off.
 */
#ifndef NESTOR_ROOM_H
#define NESTOR_ROOM_H

#include <stdbool.h>

#include <jansson.h>

struct buf;
struct env;
struct history;
struct history_quantity;
struct kernel;
struct metrics;
struct policy;
struct policy_section;

/* A process of its own: this program, started by agent/lib/child.h under that name. */
struct room_process {
	const char *name; /* argv[0] */
	int (*main)(char **argv); /* returns an exit status */
};

struct room {
	const char *name; /* stem, at most 8 letters */
	const char *doc; /* one sentence, shown by `nestorctl rooms` */
	const struct policy_section *policy; /* its section; the room is off while "mode" in it is off */
	int (*probe)(const struct kernel *k); /* 0, or -EOPNOTSUPP after log_error() of what is missing */
	int (*start)(struct env *env, void **ret_self); /* 0, or -errno after log_error() of why */
	int (*apply)(void *self, const struct policy *p); /* after start, and at every reload */
	void (*collect)(void *self, struct metrics *m); /* at scrape time */
	void (*sample)(void *self, struct history *h); /* NULL, or: tells agent/base/history.h what it has counted */
	const struct history_quantity *quantities; /* what sample() tells, up to one without a name; NULL: nothing */
	json_t *(*show)(void *self); /* for `nestorctl <stem> show` and /api/v1/<stem>; a new reference */
	/*
	 * NULL, or: a program of the user's in the place of one of its own, from the BPF object file that @file is open on;
	 * -1: its own again. 0 with JSON in @out, or -errno with the reason there; then what was before stays.
	 */
	int (*load)(void *self, int file, struct buf *out);
	void (*stop)(void *self); /* detaches everything; pinned counters and limits stay */
	void (*off)(struct env *env); /* NULL, or: policy has it off; undoes the limits that any agent left */
	const struct room_process *processes; /* NULL, or: ended by one without a name */
};

#endif
