/* SPDX-License-Identifier: GPL-2.0 */
/* Reads policy again when its files change (inotify) or on SIGHUP. A bad one changes nothing. */
#ifndef NESTOR_RELOAD_H
#define NESTOR_RELOAD_H

#include <stdbool.h>

#include "agent/policy.h"

struct agent;
struct reload;

struct reload_status {
	bool last_ok;
	unsigned long long succeeded, failed;
	struct policy_error error; /* of the last reload, "" if it was good */
};

/* Loads the first policy, into *@ret_policy, and watches for others. 0, or -errno after saying why. */
int reload_start(struct agent *a, struct reload **ret_reload, struct policy **ret_policy);
void reload_now(struct reload *r);
void reload_stop(struct reload *r);
const struct reload_status *reload_status(const struct reload *r);

#endif
