/* SPDX-License-Identifier: GPL-2.0 */
/* The store in memory: whole pages, of which it holds up to a limit, and gives back under pressure. */
#ifndef NESTOR_KFUNCS_CACHE_MEMORY_H
#define NESTOR_KFUNCS_CACHE_MEMORY_H

#include "kfuncs/compat.h"

struct cache_pool;

/* Nothing is held before cache_memory_set_limit(). */
void cache_memory_open(void);
/* Gives all back. No put, no get may be under way. May sleep. */
void cache_memory_close(void);

/* In pages. What is held above it is given back, or taken towards it, by cache_memory_balance(). */
void cache_memory_set_limit(u64 pages);
u64 cache_memory_limit(void);
u64 cache_memory_held(void);

/* Evicts up to @pages and gives their memory to the kernel; returns how many. Does not sleep. */
u64 cache_memory_shrink(u64 pages);

/* The same, because the kernel is short of memory: the store then does not grow for a second. */
u64 cache_memory_yield(u64 pages);

/* True: cache_memory_balance() has something to do. */
bool cache_memory_unbalanced(void);
/* Takes spare pages towards the limit, gives back what is above it. May sleep, waits for no I/O. */
void cache_memory_balance(void);

/* Evicts all of @pool; no put for it may be under way. May sleep. */
void cache_memory_drop_pool(struct cache_pool *pool);

void *cache_memory_of_frame(u32 frame);

#endif
