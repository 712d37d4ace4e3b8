// SPDX-License-Identifier: GPL-2.0
#include "agent/cache/policy.h"
#include "agent/policy/section.h"

static const struct policy_key pool_keys[] = {
	{ GLOB(container, struct cache_pool_rule), .help = "Containers that have such a part, by name." },
	{
		UINT(memory, struct cache_pool_rule, "weight", "0", "10000"),
		.help = "The weight of its part of the memory store; 0: none.",
	},
	{
		UINT(ssd, struct cache_pool_rule, "weight", "0", "10000"),
		.help = "The weight of its part of the SSD store; 0: none. With both, pages go to memory first, and from there "
			"to the "
			"SSD.",
	},
	{},
};

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct cache_policy, policy_modes),
		.usual = "off",
		.help = "Whether the room is there, and whether it puts pages into the stores. monitor only counts what it "
			"would put, "
			"as drops with reason no_room.",
	},
	{
		SIZE(memory, struct cache_policy, "1MiB", "1TiB"),
		.or_zero = true,
		.usual = "0",
		.help = "What the memory store may hold. With 0 there is no such store.",
	},
	{
		SIZE(min_free, struct cache_policy, "0", "1TiB"),
		.usual = "256MiB",
		.help = "The memory store has its limit lowered rather than that MemAvailable of /proc/meminfo is less than "
			"this.",
	},
	{
		STRING(ssd, struct cache_policy, "path or none", POLICY_PATH_MAX),
		.usual = "none",
		.help = "The SSD store: the path of a block device that nobody else uses, or of a file, which is made with "
			"ssd_size "
			"bytes if there is none. What is on it is overwritten; one that has a file system or partitions is "
			"refused.",
	},
	{
		SIZE(ssd_size, struct cache_policy, "2MiB", "16TiB"),
		.or_zero = true,
		.usual = "0",
		.help = "How much of the SSD store is used. With 0 that is all of it.",
	},
	{
		LIST(pools, struct cache_policy, struct cache_pool_rule, pool_keys),
		.all = "container",
		.some = "memory, ssd",
		.usual = "[]",
		.help = "Who shares it: each container that an entry names gets a part by its weights. What one leaves unused "
			"the "
			"others may use. Of several entries that fit one name the first counts; who is in none has no part. "
			"There may "
			"be 1023 containers with a pool.",
		.example = "pools:\n"
			   "  - container: web\n"
			   "    memory: 60\n"
			   "  - container: \"batch-*\"\n"
			   "    memory: 40\n",
	},
	{},
};

const struct policy_section policy_cache = {
	.name = "cache",
	.help = "A second-level page cache: what containers lose from the page cache is kept in a store that they share by "
		"weight, and "
		"given back when they read it again. Needs the kernel module nestor, and a device that goes through it "
		"(nestorctl "
		"cache attach). See nestord(8).",
	.size = sizeof(struct cache_policy),
	.keys = keys,
};
