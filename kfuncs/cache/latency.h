/* SPDX-License-Identifier: GPL-2.0 */
/* How long reads into the page cache take. */
#ifndef NESTOR_KFUNCS_CACHE_LATENCY_H
#define NESTOR_KFUNCS_CACHE_LATENCY_H

#include "kfuncs/compat.h"

#include "kfuncs/cache_session.h"

/* One that began at @began_ns ends now. Any context. */
void cache_latency_count(enum nestor_cache_source source, u64 began_ns);
/* Adds up what all processors have of @latency's source. 0 or -EINVAL. */
int cache_latency_sum(struct nestor_cache_latency *latency);

#endif
