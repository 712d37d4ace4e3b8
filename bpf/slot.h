/* SPDX-License-Identifier: GPL-2.0 */
/* An array that programs search themselves, as a hash table (bpf/blkio/totals.bpf.h, agent/base/slot_map.h). */
#ifndef NESTOR_SLOT_H
#define NESTOR_SLOT_H

/* The first __u64 at each place. */
enum place_state {
	PLACE_FREE,
	PLACE_CLAIMED, /* its key is being written, or its counters are taken */
	PLACE_USED,
};

#endif
