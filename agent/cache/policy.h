/* SPDX-License-Identifier: GPL-2.0 */
/* The section cache of the policy. */
#ifndef NESTOR_CACHE_POLICY_H
#define NESTOR_CACHE_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"

/* A container's part of the second-level cache, each one's of those that the glob names. */
struct cache_pool_rule {
	char *container;
	__u32 memory, ssd; /* weights, up to 10000; 0: nothing of that store */
};

struct cache_policy {
	enum policy_mode mode;
	__u64 memory; /* bytes that the memory store may hold */
	char *ssd; /* path of a disk or a file, or "none" */
	__u64 ssd_size; /* bytes of it; 0: all */
	__u64 min_free; /* bytes: what MemAvailable is kept above, at the store's cost */
	struct cache_pool_rule *pools;
	unsigned int pools_count;
};

extern const struct policy_section policy_cache;

#endif
