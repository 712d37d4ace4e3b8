/* SPDX-License-Identifier: GPL-2.0 */
/* Why an event was not counted: index of a room's map of losses, label "reason" of nestor_events_lost_total. */
#ifndef NESTOR_BPF_LOST_H
#define NESTOR_BPF_LOST_H

enum lost_reason {
	LOST_INFLIGHT_FULL, /* no room to remember the start of an I/O */
	LOST_COUNTERS_FULL, /* no room for one more set of counters */
	LOST_DEVICES_FULL, /* no room for one more device */
	LOST_RING_FULL, /* a message to the agent found no room */
	LOST_COMPLETION, /* an I/O ended, and the kernel did not run the program; seen when its request is used again */
	LOST_REASONS
};

#endif
