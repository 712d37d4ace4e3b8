/* SPDX-License-Identifier: GPL-2.0 */
/* dedup: the contract between the BPF program and the process that does rounds. */
#ifndef NESTOR_BPF_DEDUP_H
#define NESTOR_BPF_DEDUP_H

/* A thread whose process is in KSM's list: its memory is merged once it asks for that. The iterator prints these. */
struct dedup_mergeable {
	__u64 cgroup; /* id in the hierarchy that tasks are known by */
	__u64 merged_pages; /* of its process */
	__u32 pid; /* of its process */
	__u32 tid; /* its own: the process' first thread may have ended */
	char name[16];
};

_Static_assert(sizeof(struct dedup_mergeable) == 40, "record of the iterator");

#endif
