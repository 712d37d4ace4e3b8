/* SPDX-License-Identifier: GPL-2.0 */
/* Has the kernel measure the run time of BPF programs, all the time or one second a minute. */
#ifndef NESTOR_BPF_STATS_H
#define NESTOR_BPF_STATS_H

#include "agent/policy/policy.h"

struct loop;
struct bpf_stats;

int bpf_stats_start(struct loop *loop, struct bpf_stats **ret);
void bpf_stats_apply(struct bpf_stats *s, enum policy_self_stats mode);
void bpf_stats_stop(struct bpf_stats *s);

#endif
