/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_DAEMON_H
#define NESTOR_DAEMON_H

struct agent;

/* Serves: reads policy, starts rooms, answers HTTP and nestorctl, until SIGTERM or SIGINT. 0 or -errno, logged. */
int daemon_run(struct agent *a);

#endif
