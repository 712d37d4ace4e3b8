// SPDX-License-Identifier: GPL-2.0
#include "agent/ctl/noun.h"

#define COUNTER(name)                                                                                                          \
	{                                                                                                                      \
		"nestor_pcache_" name "_total", NULL, NULL, NULL                                                               \
	}
#define EVICTIONS                                                                                                              \
	{                                                                                                                      \
		"nestor_pcache_evictions_total", NULL, NULL, "reason"                                                          \
	}
#define PAGES                                                                                                                  \
	{                                                                                                                      \
		"nestor_pcache_pages", NULL, NULL, NULL                                                                        \
	}
#define HITS .how = TOP_PART, .series = COUNTER("hits"), .of = { COUNTER("hits"), COUNTER("misses") }

static const struct top_column columns[] = {
	TOP_COLUMN("hit", "HIT%", "hit_ratio", TOP_RATIO, 3, HITS),
	TOP_COLUMN("evictions", "EVICT/s", "evictions_per_second", TOP_COUNT, 9, .series = EVICTIONS),
	TOP_COLUMN("refaults", "REFLT/s", "refaults_per_second", TOP_COUNT, 12, .series = COUNTER("refaults")),
	TOP_COLUMN("cached", "CACHED", "cached_bytes", TOP_BYTES, 13, .how = TOP_NOW_PAGES, .series = PAGES),
	{},
};

static const struct ctl_verb verbs[] = { CTL_SHOW, {} };

const struct ctl_noun ctl_pcache = { .name = "pcache", .verbs = verbs, .columns = columns, .place = 2 };
