/* SPDX-License-Identifier: GPL-2.0 */
/* The contract of room cache between the module, the agent and BPF programs. Pages are of 4 KiB. */
#ifndef NESTOR_CACHE_H
#define NESTOR_CACHE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Where cached pages live. */
enum nestor_cache_store {
	NESTOR_CACHE_MEMORY,
	NESTOR_CACHE_SSD,
	NESTOR_CACHE_STORES,
};

#define NESTOR_CACHE_NOWHERE 0xffffffffU /* instead of a store: a page is wanted in none */

#define NESTOR_CACHE_POOLS 1024 /* numbers of pools, below 8192; 0 is the pool of all that have none */
#define NESTOR_CACHE_WEIGHT_MAX 10000

/* Why a page that was offered is not in a store. */
enum nestor_cache_drop {
	NESTOR_CACHE_DROP_UNKNOWN, /* no finished I/O of a cached device says what block it is */
	NESTOR_CACHE_DROP_RACED, /* its block was being written, or belongs to another page by now */
	NESTOR_CACHE_DROP_TRANSFORMED, /* it is not what was read or written: decrypted in place, or changed */
	NESTOR_CACHE_DROP_NO_SHARE, /* its pool has no weight in that store, or there is no such pool or store */
	NESTOR_CACHE_DROP_NO_ROOM, /* the store had no page at hand */
	NESTOR_CACHE_DROP_UNWANTED, /* the program that chooses a store wants it in none */
	NESTOR_CACHE_DROP_LARGE, /* beyond the first 32 pages of its folio: copying more would keep interrupts off for too long
				  */
	NESTOR_CACHE_DROPS,
};

#endif
