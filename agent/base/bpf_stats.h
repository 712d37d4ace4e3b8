/* SPDX-License-Identifier: GPL-2.0 */
/* Has the kernel measure the run time of BPF programs, all the time or one second a minute. */
#ifndef NESTOR_BPF_STATS_H
#define NESTOR_BPF_STATS_H

#include "agent/policy/policy.h"

struct loop;
struct self_stats;

int self_stats_start(struct loop *loop, struct self_stats **ret);
void self_stats_apply(struct self_stats *s, enum policy_self_stats mode);
void self_stats_stop(struct self_stats *s);

#endif
