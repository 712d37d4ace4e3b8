/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the agent asks its looker (agent/who/looker.h), and what that answers: packets of a fixed size over a socket pair. One
 * request at a time; its answer is any number of parts and an end, all with the request's number.
 */
#ifndef NESTOR_LOOK_H
#define NESTOR_LOOK_H

#include "agent/who/container_name.h"
#include "agent/who/vm_scan.h"

/* argv[0] of the looker */
#define LOOKER_NAME "nestord-looker"
#define LOOKER_FD 3 /* its end of the socket pair */

enum look_type {
	LOOK_SCAN, /* all processes: a part for each that runs a VMM, and for each helper */
	LOOK_PROCESS, /* pid: a part, if it runs a VMM */
	LOOK_VM, /* pid, start, again: a part */
	LOOK_NAME, /* path, user: a part */
};

struct look_request {
	__u64 number;
	__u32 type; /* enum look_type */
	int pid;
	__u64 start;
	__u64 again; /* not 0: its name is known */
	struct cgroup_user user; /* of the path */
	char path[OWNER_PATH_MAX];
};

/* LOOK_READY: once, before the first request; its number says nothing. */
enum look_part { LOOK_READY, LOOK_END, LOOK_PART_PROCESS, LOOK_PART_HELPER, LOOK_PART_VM, LOOK_PART_NAME };

struct look_reply {
	__u64 number; /* of the request */
	__u32 part; /* enum look_part */
	int error; /* of the end: 0 or -errno */
	union {
		struct vm_process process;
		struct {
			int tid, pid;
		} helper;
		struct vm_look vm;
		struct container_name name;
	};
};

/* Is @reply one that @request may have, with texts that end and are clean? What is in it may still be untrue. */
bool look_is_valid(const struct look_request *request, struct look_reply *reply);

/* For the looker: returns an exit status. */
int look_main(char **argv);

#endif
