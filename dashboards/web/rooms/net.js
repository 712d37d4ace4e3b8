// SPDX-License-Identifier: GPL-2.0
// Network traffic, its limits, and migrations.

export const order = 30;

export const charts = [
	{
		id: "net", title: "Network", order: 45,
		lines: [
			{ name: "received", color: 1, quantity: "received_bytes" },
			{ name: "sent", color: 2, quantity: "sent_bytes" },
			{ name: "limit of receiving", color: 1, limit: true, quantity: "receive_limit" },
			{ name: "limit of sending", color: 2, limit: true, quantity: "send_limit" },
		],
	},
	{
		id: "migration", title: "Migration traffic", order: 65,
		lines: [{ name: "migration", color: 4, quantity: "migration_bytes" }],
	},
];

export const facts = [
	{ title: "Received", quantity: "received_bytes", traffic: true },
	{ title: "Sent", quantity: "sent_bytes", traffic: true },
	{ title: "Migration", quantity: "migration_bytes" },
];
