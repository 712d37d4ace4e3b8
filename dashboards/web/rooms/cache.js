// SPDX-License-Identifier: GPL-2.0
// The second-level cache: what each has of it, and is entitled to.

export const order = 40;

export const charts = [
	{
		id: "cachememory", title: "Second-level cache in memory, and shares (dashed)", optional: true,
		areas: { used: "cache_memory", share: "cache_memory_share" },
	},
	{
		id: "cachessd", title: "Second-level cache on the SSD, and shares (dashed)", optional: true,
		areas: { used: "cache_ssd", share: "cache_ssd_share" },
	},
	{
		id: "cachepages", title: "Second-level cache, pages", optional: true,
		lines: [
			{ name: "given back", color: 3, quantity: "cache_hits" },
			{ name: "taken in", color: 1, quantity: "cache_puts" },
		],
	},
];

export const facts = [
	{ title: "Cached in memory", quantity: "cache_memory" },
	{ title: "its share", quantity: "cache_memory_share" },
	{ title: "Cached on the SSD", quantity: "cache_ssd" },
	{ title: "its share", quantity: "cache_ssd_share" },
	{ title: "Given back", quantity: "cache_hits" },
];
