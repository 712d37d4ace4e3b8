/* SPDX-License-Identifier: GPL-2.0 */
/* The store in memory: whole pages, of which it holds up to a limit, and gives back under pressure. */
#ifndef NESTOR_KFUNCS_CACHE_MEMORY_H
#define NESTOR_KFUNCS_CACHE_MEMORY_H

#include "kfuncs/compat.h"

struct cache_pool;

/* Nothing is held before memory_set_limit(). */
void memory_open(void);
/* Gives all back. No put, no get may be under way. May sleep. */
void memory_close(void);

/* In pages. What is held above it is given back, or taken towards it, by memory_balance(). */
void memory_set_limit(u64 pages);
u64 memory_limit(void);
u64 memory_held(void);

/* Evicts up to @pages and gives their memory to the kernel; returns how many. Does not sleep. */
u64 memory_shrink(u64 pages);

/* The same, because the kernel is short of memory: the store then does not grow for a second. */
u64 memory_yield(u64 pages);

/* True: memory_balance() has something to do. */
bool memory_unbalanced(void);
/* Takes spare pages towards the limit, gives back what is above it. May sleep, waits for no I/O. */
void memory_balance(void);

/* Evicts all of @pool; no put for it may be under way. May sleep. */
void memory_drop_pool(struct cache_pool *pool);

void *memory_of_frame(u32 frame);

#endif
