/* SPDX-License-Identifier: GPL-2.0 */
/* How nestorctl asks an agent, over the socket of agent/core/control.h. */
#ifndef NESTOR_CTL_ASK_H
#define NESTOR_CTL_ASK_H

enum { EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

struct top;

struct ctl_agent {
	const char *run_dir;
	int timeout_ms; /* for an answer */
};

/* Sends two words, and @file with them unless it is -1. 0 with the answer's status and its text, to be freed; -errno if there
 * is no agent. */
int ctl_ask(const struct ctl_agent *agent, const char *command, const char *arg, int file, int *ret_status, char **ret_text);

/* Asks for the metrics, and gives them to @t. 0, -errno of ctl_ask(), or -EREMOTEIO: the agent answered with an error. */
int ctl_ask_metrics(const struct ctl_agent *agent, struct top *t);

/* Says what an error of ctl_ask() means; the exit status. */
int ctl_no_agent(const struct ctl_agent *agent, int err);

#endif
