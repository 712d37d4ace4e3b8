/* SPDX-License-Identifier: GPL-2.0 */
/* Why an event was not counted, or not in full: index of a room's map of losses, label "reason" of nestor_events_lost_total. */
#ifndef NESTOR_BPF_LOST_H
#define NESTOR_BPF_LOST_H

enum lost_reason {
	LOST_INFLIGHT_FULL, /* no room to remember the start of an I/O */
	LOST_COUNTERS_FULL, /* no room for one more set of counters */
	LOST_DEVICES_FULL, /* no room for one more device */
	LOST_RING_FULL, /* a message to the agent found no room */
	LOST_COMPLETION, /* an I/O ended, and the kernel did not run the program; seen when its request is used again */
	LOST_OWNER, /* nobody saw whose an I/O is as it began; counted for whom its cgroup or its memory tells */
	LOST_REASONS
};

#endif
