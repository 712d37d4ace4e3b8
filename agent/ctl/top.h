/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of rates that change: `nestorctl top`, and that of any noun with columns of its own. */
#ifndef NESTOR_CTL_TOP_H
#define NESTOR_CTL_TOP_H

#include "agent/ctl/ask.h"
#include "agent/ctl/top_rows.h"

#define TOP_INTERVAL_MIN 0.1 /* seconds */
#define TOP_INTERVAL_MAX 3600

struct top_options {
	const char *sort; /* a key, NULL: the table's own */
	struct top_order order;
	double interval; /* seconds between two readings */
	unsigned long count; /* tables until the end, 0: no end */
	bool once, json;
	struct ctl_agent agent;
	const struct top_table *table;
};

/* Takes what follows --interval, --count. 0, or EXIT_USAGE, said. */
int top_set_interval(struct top_options *o, const char *text);
int top_set_count(struct top_options *o, const char *text);

/* On the terminal, until the user ends it. -ENOTTY if the terminal is of no known kind, else an exit status. */
int top_view(struct top_options *o, struct top *t);

#endif
