// SPDX-License-Identifier: GPL-2.0
// Block I/O: latencies, bytes and limits.

import { quantiles, seconds } from "../charts.js";

const percentile = (q) => (owner, bounds) => quantiles(owner, bounds, q);

export const order = 10;

export const charts = [
	{ id: "heat", title: "Latency of block I/O", heat: true },
	{
		id: "latency", title: "Latency, percentiles", logarithmic: true,
		lines: [
			{ name: "99 of 100 within", color: 2, format: seconds, of: percentile(0.99) },
			{ name: "half within", color: 1, format: seconds, of: percentile(0.5) },
		],
	},
	{
		id: "bytes", title: "Block I/O",
		lines: [
			{ name: "read", color: 1, quantity: "read_bytes" },
			{ name: "written", color: 2, quantity: "written_bytes" },
			{ name: "limit of reads", color: 1, limit: true, quantity: "read_limit" },
			{ name: "limit of writes", color: 2, limit: true, quantity: "write_limit" },
		],
	},
];

export const facts = [
	{ title: "p99", format: seconds, of: percentile(0.99), worst: true },
	{ title: "Read", quantity: "read_bytes", traffic: true },
	{ title: "Written", quantity: "written_bytes", traffic: true },
	{ title: "Reads", quantity: "reads" },
	{ title: "Writes", quantity: "writes" },
];
