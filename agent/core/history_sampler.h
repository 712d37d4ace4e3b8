/* SPDX-License-Identifier: GPL-2.0 */
/* Asks the rooms every HISTORY_SECONDS what they have counted, and keeps it in agent->history. */
#ifndef NESTOR_HISTORY_SAMPLER_H
#define NESTOR_HISTORY_SAMPLER_H

struct agent;
struct history_sampler;

int history_sampler_start(struct agent *a, struct history_sampler **ret); /* 0 or -errno, logged */
void history_sampler_stop(struct history_sampler *s);

#endif
