// SPDX-License-Identifier: GPL-2.0
#include "agent/pcache/policy.h"
#include "agent/policy/section.h"

static const char *const modes[] = { [MODE_OFF] = "off", [MODE_MONITOR] = "monitor" };

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct pcache_policy, modes),
		.usual = "monitor",
		.help = "Whether to measure hits, misses and evictions of the page cache.",
	},
	{},
};

const struct policy_section policy_pcache = {
	.name = "pcache",
	.help = "Hits, misses and evictions of the page cache per container.",
	.size = sizeof(struct pcache_policy),
	.keys = keys,
};
