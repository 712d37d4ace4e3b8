/* SPDX-License-Identifier: GPL-2.0 */
/* An array that programs search themselves, as a hash table (bpf/blkio/totals.bpf.h, agent/base/slot_map.h). */
#ifndef NESTOR_SLOT_H
#define NESTOR_SLOT_H

/* The first __u64 at each place. */
enum slot_map_state {
	SLOT_MAP_FREE,
	SLOT_MAP_CLAIMED, /* its key is being written, or its counters are taken */
	SLOT_MAP_USED,
};

#endif
