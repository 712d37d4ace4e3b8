// SPDX-License-Identifier: GPL-2.0
// A heart that beats.

import { element } from "../charts.js";

export const order = 90;

export const charts = [
	{ id: "pulse", title: "Pulse", lines: [{ name: "beats", color: 1, quantity: "pulse_beats" }] },
];

export const facts = [{ title: "Beats", quantity: "pulse_beats" }];

export const panel = {
	title: "Heart",
	draw: ([heart]) => [element("p", {}, `It beats every ${heart.interval_seconds} s.`)],
};
