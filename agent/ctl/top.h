/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl top` and `nestorctl cache top`: one program, that shows one table or the other. */
#ifndef NESTOR_CTL_TOP_H
#define NESTOR_CTL_TOP_H

#include "agent/ctl/ask.h"
#include "agent/ctl/top_rows.h"

#define TOP_INTERVAL_MIN 0.1 /* seconds */
#define TOP_INTERVAL_MAX 3600

struct top_options {
	struct ctl_agent agent;
	struct top_order order;
	double interval; /* seconds between two readings */
	unsigned long count; /* tables until the end, 0: no end */
	bool once, json;
};

/* Takes what follows --interval, --count. 0, or EXIT_USAGE, said. */
int top_set_interval(struct top_options *o, const char *text);
int top_set_count(struct top_options *o, const char *text);

/* Which table, and what it is sorted by, NULL: as it is by default. 0, or EXIT_USAGE, said. */
int top_set_table(struct top_options *o, enum top_table table, const char *sort);

/* Returns an exit status. */
int top_run(struct top_options *o);

/* Asks the agent, and gives the answer to @t. 0, -errno of ctl_ask(), or -EREMOTEIO: it answered with an error. */
int top_ask(const struct ctl_agent *agent, struct top *t);

/* On the terminal, until the user ends it. -ENOTTY if the terminal is of no known kind, else an exit status. */
int top_view(struct top_options *o, struct top *t);

#endif
