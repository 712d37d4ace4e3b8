/* SPDX-License-Identifier: GPL-2.0 */
/* The agent's services that agent/who/ and the rooms use. They are set up before those start, torn down after they stop. */
#ifndef NESTOR_ENV_H
#define NESTOR_ENV_H

#include "agent/base/kernel.h"
#include "agent/lib/loop.h"

struct policy;
struct who;

struct env {
	struct kernel kernel;
	struct loop loop;
	struct who *who;
	struct policy *policy; /* in force; replaced before a room's apply() */
	const char *run_dir;
	int run_dir_fd; /* locked: one agent each; -1 with --check */
	const char *pin_dir; /* of counters and limits; NULL with --check: nothing is pinned, nothing is limited */
	unsigned int counters_reset; /* pinned maps that were dropped, since their layout was another */
};

#endif
