/* SPDX-License-Identifier: GPL-2.0 */
/* A program of the user's that chooses stores, as bpf/cache_choose.h has it. */
#ifndef NESTOR_CACHE_PROGRAM_H
#define NESTOR_CACHE_PROGRAM_H

#include "agent/lib/buf.h"

#define CACHE_OBJECT_MAX (1 << 20) /* bytes of an object file */

struct cache_program;

/*
 * The program in the object file that @file is open on, -1: none, takes the place of *@now: it is asked instead of
 * cache_choose() in the program @target, once the kernel and the limits in bpf/cache_choose.h let it pass. 0 with JSON
 * in @out, or -errno with the reason there.
 */
int cache_program_replace(struct cache_program **now, int file, int target, struct buf *out);

/* NULL: the built-in one's. */
const char *cache_program_name(const struct cache_program *p);

/* It is asked no more. NULL is fine. */
void cache_program_free(struct cache_program *p);

#endif
