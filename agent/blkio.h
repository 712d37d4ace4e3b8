/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the room blkio: what its files share. */
#ifndef NESTOR_BLKIO_H
#define NESTOR_BLKIO_H

#include "agent/agent.h"
#include "agent/bpfobj.h"
#include "bpf/blkio.h"

struct blkio {
	struct agent *agent;
	struct blkio_bpf *bpf;
	struct ring_buffer *ring;
	struct source new_owners; /* ring buffer's epoll */
	struct source check; /* timer: who has died? */
	__u64 linger_ns; /* policy agent.linger */
};

/* Watches for owners that are admitted or die. 0 or -errno, logged. */
int blkio_owners_start(struct blkio *b);
void blkio_owners_stop(struct blkio *b);

/* Names the nameless, and moves the counts of those whose time is over. */
void blkio_owners_check(struct blkio *b);

/* In a copy of blkio_owners; NULL if it is not there. */
const struct blkio_owner_info *blkio_owners_find(const struct table *owners, __u64 cgroup, __u32 hierarchy);

void blkio_total_add(struct blkio_total *to, const struct blkio_total *from);

#endif
