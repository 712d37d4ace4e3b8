// SPDX-License-Identifier: GPL-2.0
// The page cache: hits, and pages that left.

import { percent } from "../charts.js";

/** A page that readahead brings is missed before it is asked for, perhaps in an earlier sample. */
function ratios(owner) {
	const { accesses = [], misses = [] } = owner.values;

	return accesses.map((a, i) => (!a || misses[i] == null ? null : Math.max(0, 1 - misses[i] / a)));
}

export const order = 20;

export const charts = [
	{
		id: "hits", title: "Page cache, hit ratio", most: 1,
		lines: [{ name: "hit ratio", color: 3, format: percent, of: ratios }],
	},
	{
		id: "evictions", title: "Page cache, pages that left",
		lines: [
			{ name: "evicted", color: 2, quantity: "evictions" },
			{ name: "dropped", color: 4, quantity: "invalidations" },
			{ name: "missed", color: 1, quantity: "misses" },
		],
	},
];

export const facts = [
	{ title: "Page accesses", quantity: "accesses" },
	{ title: "Misses", quantity: "misses" },
	{ title: "Evicted", quantity: "evictions" },
];
