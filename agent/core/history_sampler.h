/* SPDX-License-Identifier: GPL-2.0 */
/* Asks the rooms every HISTORY_SECONDS what they have counted, and keeps it in agent->history. */
#ifndef NESTOR_HISTORY_SAMPLER_H
#define NESTOR_HISTORY_SAMPLER_H

struct agent;
struct sampler;

int sampler_start(struct agent *a, struct sampler **ret); /* 0 or -errno, logged */
void sampler_stop(struct sampler *s);

#endif
