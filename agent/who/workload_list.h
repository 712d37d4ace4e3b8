/* SPDX-License-Identifier: GPL-2.0 */
/* Containers and VMs that live, for a room that goes through them now and then. */
#ifndef NESTOR_WORKLOAD_LIST_H
#define NESTOR_WORKLOAD_LIST_H

#include <linux/types.h>

#include "agent/who/who.h"

struct workload_entry {
	LIST_ENTRY(workload_entry) entry;
	const struct workload *one;
};

struct workload_list {
	LIST_HEAD(, workload_entry) list; /* the last that came first */
	struct who *who;
	struct who_watch watch;
	void (*changed)(void *data); /* NULL, or: hears of each that comes and goes */
	void *data;
};

/* From now on @m has all there are; @changed is called for those that are there already, too. It stays where it is. */
void workload_list_open(struct workload_list *m, struct who *who, void (*changed)(void *data), void *data);
void workload_list_close(struct workload_list *m); /* what was not opened, but zeroed, is fine */

#endif
