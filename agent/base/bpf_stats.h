/* SPDX-License-Identifier: GPL-2.0 */
/* Has the kernel measure the run time of BPF programs, all the time or one second a minute. */
#ifndef NESTOR_BPF_STATS_H
#define NESTOR_BPF_STATS_H

struct loop;

enum bpf_stats_mode { BPF_STATS_OFF, BPF_STATS_SAMPLE, BPF_STATS_ON };

struct bpf_stats;

int bpf_stats_start(struct loop *loop, struct bpf_stats **ret);
void bpf_stats_apply(struct bpf_stats *s, enum bpf_stats_mode mode);
void bpf_stats_stop(struct bpf_stats *s);

#endif
