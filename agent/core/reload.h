/* SPDX-License-Identifier: GPL-2.0 */
/* Reads policy again when its files change (inotify) or on SIGHUP. A bad one changes nothing; agent->reloads tells. */
#ifndef NESTOR_RELOAD_H
#define NESTOR_RELOAD_H

struct agent;
struct policy;
struct reload;

/* Loads the first policy, into *@ret_policy, and watches for others. 0, or -errno after saying why. */
int reload_start(struct agent *a, struct reload **ret_reload, struct policy **ret_policy);
void reload_now(struct reload *r);
void reload_stop(struct reload *r);

#endif
