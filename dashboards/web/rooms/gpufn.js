// SPDX-License-Identifier: GPL-2.0
// GPU functions: which slices ran where in the last ten seconds, and how tenants fared.

import { element, seconds, size } from "../charts.js";

const SPAN = 10; // seconds that the broker keeps slices for
const WIDTH = 1000, ROW = 26, BAR = 18; // of the picture, in units of its own
const COLORS = 6; // lines' colours, by turns

function svg(name, attributes, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", name);

	for (const [key, value] of Object.entries(attributes))
		node.setAttribute(key, value);
	node.append(...children);
	return node;
}

const colorOf = (tenants, name) => `var(--line${tenants.indexOf(name) % COLORS + 1})`;

function bar(slice, row, now, tenants) {
	const from = Math.max(0, SPAN - (now - slice.began)), width = Math.max(1, slice.seconds / SPAN * WIDTH);
	const text = `${slice.function} of ${slice.tenant}, call ${slice.call}, ${seconds(slice.seconds)}`;

	return svg("rect", {
		x: from / SPAN * WIDTH, y: row * ROW + (ROW - BAR) / 2, width, height: BAR, fill: colorOf(tenants, slice.tenant),
	}, svg("title", {}, text));
}

function gantt(state, tenants) {
	const rows = state.devices.map((d, i) => svg("g", {},
		svg("line", { x1: 0, x2: WIDTH, y1: (i + 1) * ROW, y2: (i + 1) * ROW, stroke: "var(--grid)" }),
		...d.recent.map((s) => bar(s, i, state.now, tenants))));
	const busy = state.devices.map((d) => `${d.device}: ${d.recent.length} slice${d.recent.length === 1 ? "" : "s"}, ` +
		`${seconds(d.recent.reduce((sum, s) => sum + s.seconds, 0))}`).join("; ");

	return element("figure", { class: "gantt" },
		element("figcaption", {}, element("h4", {}, `Slices of the last ${SPAN} seconds, a row for each device`),
			element("p", { class: "note" }, `${busy}.`)),
		svg("svg", {
			viewBox: `0 0 ${WIDTH} ${state.devices.length * ROW}`, preserveAspectRatio: "none", role: "img", "aria-label": busy,
			height: state.devices.length * ROW,
		}, ...rows));
}

const percent = (part, all) => (all ? `${(100 * part / all).toFixed(1)} %` : "–");

function row(t, all, tenants) {
	const ended = t.done + t.late + t.dropped + t.failed + t.refused_early;
	const key = element("span", { class: "key", "aria-hidden": "true" });

	key.style.background = colorOf(tenants, t.tenant);
	return element("tr", {}, element("th", { scope: "row" }, key, t.tenant),
		...[percent(t.done, ended), t.done, t.late, t.dropped, t.failed, t.refused_early + t.refused_queue + t.refused_memory,
			percent(t.device_seconds, all.device), percent(t.weight, all.weight), percent(t.wasted_seconds, t.device_seconds),
			t.queued, size(t.memory_bytes)].map((value) => element("td", {}, String(value))));
}

function table(state, tenants) {
	const sum = (name) => state.tenants.reduce((s, t) => s + t[name], 0);
	const all = { device: sum("device_seconds"), weight: sum("weight") };
	const heads = ["Tenant", "Goodput", "In time", "Late", "Dropped", "Failed", "Refused", "Of the devices' time", "by weight",
		"Wasted of that", "Queued", "Memory"];

	return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Tenants of GPU functions" },
		element("table", {}, element("caption", {}, "Calls since the broker started; goodput is the part that was done in time"),
			element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))),
			element("tbody", {}, ...state.tenants.map((t) => row(t, all, tenants)))));
}

export const order = 60;

export const charts = [
	{
		id: "gpufn", title: "Calls of GPU functions", optional: true,
		lines: [
			{ name: "in time", color: 3, quantity: "gpufn_done" },
			{ name: "late, dropped, failed or refused", color: 2, quantity: "gpufn_missed" },
		],
	},
];

/** @state: without devices before the broker has told anything. */
function draw(state) {
	const tenants = (state.tenants ?? []).map((t) => t.tenant).sort();

	if (!state.devices)
		return [element("p", { class: "note" }, "The broker has not told anything yet.")];
	return [gantt(state, tenants), tenants.length ? table(state, tenants)
		: element("p", { class: "note" }, "Nobody has called a function yet.")];
}

export const panel = { title: "GPU functions", draw };
