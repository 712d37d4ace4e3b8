// SPDX-License-Identifier: GPL-2.0
// The page: a tree of the machine's containers and VMs, and what the chosen one did.
//
// rooms/<stem>.js is a room's part of it. It may export:
//   order   a number: where its charts, facts and panel stand among those of other rooms
//   charts  for Charts in charts.js; a chart may have an order of its own
//   facts   columns of the table: {title, quantity}, or {title, format, of}; the mean of a minute, of "worst" the greatest;
//           "traffic" counts in the tree, too
//   panel   {title, draw(document)}, which makes elements of what /api/v1/<stem> tells, while the room is up and all of the
//           machine is shown; "pick" gives the part of it that draw() gets, null if there is nothing to draw

import { Charts, bytes, clock, element, formatOf, valuesOf } from "./charts.js";
import * as modules from "./rooms.js"; // made by make: a name for each module in rooms/
import { MACHINE, Store, keyOf } from "./store.js";

const STALE_MS = 15000; // without an answer for so long, what is shown is called old
const NOTICE_MS = 120000; // for so long a restart is told of

const $ = (id) => document.getElementById(id);

/* Each chart, fact or panel, with its room, in order. */
const ofRooms = (what) => Object.entries(modules)
	.flatMap(([room, module]) => [module[what] ?? []].flat().map((part) => ({ room, order: module.order ?? 100, ...part })))
	.sort((a, b) => a.order - b.order);

const charts = new Charts($("charts"), ofRooms("charts"));
const facts = ofRooms("facts");
const panels = ofRooms("panel");

const store = new Store(show, panels.map((panel) => panel.room));
let chosen = MACHINE;

// ---- the tree

/** They have series, and are no containers. */
const NOBODY = {
	"/": "What runs in no container.",
	"~other": "Those that policy does not show by name, together.",
};

/** All that are known: those that live, and those that have a history, each with what is known of it. */
function members() {
	const all = new Map();

	for (const c of store.containers)
		all.set(keyOf("", c.container), { vm: "", container: c.container, live: c });
	for (const v of store.vms)
		all.set(keyOf(v.vm, ""), { vm: v.vm, container: "", live: v });
	for (const [key, owner] of store.history.owners)
		if (key !== MACHINE)
			all.set(key, { vm: owner.vm, container: owner.container, live: null, ...all.get(key), owner });
	return all;
}

const byName = (a, b) => (a.vm + a.container).localeCompare(b.vm + b.container);

function tree(all) {
	const list = [...all.values()].sort(byName);
	const inVm = (vm) => list.filter((m) => m.vm === vm && m.container);
	const vms = [...new Set(list.filter((m) => m.vm).map((m) => m.vm))];

	return {
		key: MACHINE, name: store.status?.host ?? "This machine", owner: store.history.owners.get(MACHINE), live: true,
		children: [
			...vms.map((vm) => leaf(all.get(keyOf(vm, "")) ?? { vm, container: "", live: true }, vm, inVm(vm))),
			...inVm("").map((m) => leaf(m, m.container, [])),
		],
	};
}

const leaf = (member, name, children) => ({
	...member, key: keyOf(member.vm, member.container), name, children: children.map((m) => leaf(m, m.container, [])),
});

const last = (owner, name) => owner?.values[name]?.findLast((v) => v !== null) ?? 0;

function rateOf(owner) {
	const rate = facts.filter((fact) => fact.traffic).reduce((sum, fact) => sum + last(owner, fact.quantity), 0);

	return rate > 0 ? bytes(rate) : "";
}

const matches = (node, text) => node.name.toLowerCase().includes(text) || node.children.some((c) => matches(c, text));

/** An item is made once and then changed: the focus, and what a screen reader reads, stay where they are. */
const items = new Map();

function itemOf(node, level) {
	let item = items.get(node.key);

	if (!item) {
		item = element("li", { role: "treeitem", tabindex: "-1" },
			element("div", {}, element("span", { class: "name" }), element("span", { class: "rate" })));
		item.dataset.key = node.key;
		items.set(node.key, item);
	}
	item.setAttribute("aria-level", level);
	item.setAttribute("aria-selected", node.key === chosen);
	item.classList.toggle("group", level === 1 || node.children.length > 0);
	item.classList.toggle("gone", !node.live && !(node.container in NOBODY));
	item.querySelector(".name").textContent = node.name;
	item.querySelector(".name").title = item.matches(".gone") ? `${node.name} (gone)` : node.name;
	item.querySelector(".rate").textContent = rateOf(node.owner);
	return item;
}

function place(parent, wanted) {
	wanted.forEach((item, i) => {
		if (parent.children[i] !== item)
			parent.insertBefore(item, parent.children[i] ?? null);
	});
	while (parent.children.length > wanted.length)
		parent.lastChild.remove();
}

function drawNode(node, level, text) {
	const item = itemOf(node, level);
	const children = node.children.filter((c) => matches(c, text));
	let group = item.querySelector(":scope > ul");

	if (!children.length) {
		group?.remove();
		item.removeAttribute("aria-expanded");
		return item;
	}
	if (!group) {
		group = element("ul", { role: "group" });
		item.append(group);
		item.setAttribute("aria-expanded", "true");
	}
	place(group, children.map((c) => drawNode(c, level + 1, text)));
	return item;
}

function drawTree() {
	const text = $("filter").value.trim().toLowerCase(), all = members(), root = tree(all);

	place($("tree"), [drawNode(root, 1, text)]);
	for (const [key, item] of items)
		if (!item.isConnected)
			items.delete(key);
	(items.get(chosen) ?? items.get(MACHINE)).tabIndex = 0;
	$("tree-note").textContent = !root.children.length ? "No container and no VM was seen yet."
		: text && !root.children.some((c) => matches(c, text)) ? "None has a name like that."
			: "Bytes of disk and network, now.";
	return root;
}

const visibleItems = () => [...$("tree").querySelectorAll("[role=treeitem]")].filter((i) => i.offsetParent !== null);

function choose(item, focus) {
	items.get(chosen)?.setAttribute("tabindex", "-1");
	chosen = item.dataset.key;
	item.tabIndex = 0;
	if (focus)
		item.focus();
	show();
}

function expand(item, open) {
	if (item.hasAttribute("aria-expanded"))
		item.setAttribute("aria-expanded", open);
}

function onTreeKey(event) {
	const list = visibleItems(), item = event.target.closest("[role=treeitem]"), at = list.indexOf(item);
	const parent = item?.parentElement.closest("[role=treeitem]");
	const open = item?.getAttribute("aria-expanded") === "true";
	const go = {
		ArrowDown: () => list[at + 1] && choose(list[at + 1], true),
		ArrowUp: () => list[at - 1] && choose(list[at - 1], true),
		Home: () => choose(list[0], true),
		End: () => choose(list.at(-1), true),
		ArrowRight: () => (open ? choose(list[at + 1], true) : expand(item, true)),
		ArrowLeft: () => (open ? expand(item, false) : parent && choose(parent, true)),
		Enter: () => choose(item, true),
		" ": () => choose(item, true),
	}[event.key];

	if (!item || !go)
		return;
	event.preventDefault();
	go();
}

// ---- the chosen one

function find(node, key) {
	return node.key === key ? node : node.children.map((c) => find(c, key)).find(Boolean);
}

function about(node) {
	const live = node.live;

	if (node.key === MACHINE)
		return "All containers and VMs together.";
	if (node.container in NOBODY)
		return NOBODY[node.container];
	if (!live)
		return "It is gone; this is what it did.";
	if (live.vmm)
		return `VM of ${live.vmm}, process ${live.pid}` + (live.taps.length ? `, taps ${live.taps.join(", ")}` : "");
	return `${live.runtime}${live.id ? ` ${live.id}` : ""}, cgroup ${live.path}`;
}

function reasonOf(room, node) {
	const state = store.rooms.find((r) => r.room === room);

	if (state && state.state !== "up")
		return `The room ${room} is down: ${state.reason}`;
	if (!node.owner && node.key !== MACHINE)
		return "It did nothing, or is not one of the 64 busiest, of which a history is kept.";
	return store.history.times.length < 2 ? "Waiting for the second sample…" : "Nothing in the last 15 minutes.";
}

const nameOf = (member) => [member.vm, member.container].filter(Boolean).join(" / ");

/** All below, for charts that show them one above the other; of who has nobody below, himself. */
function parts(node) {
	if (node.children.length)
		return node.children.flatMap(parts);
	return node.owner ? [{ name: nameOf(node), owner: node.owner }] : [];
}

const MARKS_NAMED = 5;

function drawChanges(marks) {
	const times = marks.slice(-MARKS_NAMED).map(clock).join(", ");

	$("changes").textContent = !marks.length ? "" : marks.length > MARKS_NAMED
		? `Policy changed ${marks.length} times, last at ${times}: dotted lines in the charts.`
		: `Policy changed at ${times}: dotted lines in the charts.`;
}

const LONGEST_MS = 15 * 60000, SHORTEST_MS = 60000; // that the axes of time span

const NOTHING = { values: {}, latency: [] };

function drawDetail(node) {
	const { times, marks, bounds, units } = store.history, to = times.at(-1) ?? Date.now();
	const from = Math.max(to - LONGEST_MS, Math.min(times[0] ?? to, to - SHORTEST_MS));
	const owner = node.owner ?? { ...NOTHING, latency: times.map(() => []) };

	$("detail-name").textContent = node.key === MACHINE ? node.name : nameOf(node);
	$("detail-about").textContent = about(node);
	drawChanges(marks);
	charts.draw({
		owner, parts: parts(node), times, marks: marks.filter((ms) => ms >= from && ms <= to), bounds, units, from, to, interval: 5000,
		reason: (room) => reasonOf(room, node),
		isOff: (room) => store.rooms.find((r) => r.room === room)?.reason === "off by policy",
	});
	if ($("numbers").open)
		drawTable(owner);
}

// ---- the table

const mean = (list) => list.reduce((a, b) => a + b) / list.length;

const worst = (list) => list.reduce((a, b) => Math.max(a, b));

function drawTable(owner) {
	const { times, marks, bounds, units } = store.history, view = { owner, bounds, units };
	const columns = facts.map((fact) => ({ format: formatOf(fact, view), values: valuesOf(fact, view), of: fact.worst ? worst : mean }));
	const minuteOf = (ms) => Math.floor(ms / 60000);
	const minutes = [...new Set(times.map(minuteOf))].reverse();
	const cells = (minute) => {
		const within = times.map((t, i) => i).filter((i) => minuteOf(times[i]) === minute);

		return [
			...columns.map((column) => {
				const known = within.map((i) => column.values[i]).filter((v) => v != null);

				return known.length ? column.format(column.of(known)) : "–";
			}),
			marks.filter((ms) => minuteOf(ms) === minute).map(clock).join(", ") || "–",
		];
	};

	$("values").replaceChildren(
		element("caption", {}, "Means of each minute; the slowest 99th percentile"),
		element("thead", {}, element("tr", {}, ...["Minute", ...facts.map((fact) => fact.title), "Policy changed"]
			.map((text) => element("th", { scope: "col" }, text)))),
		element("tbody", {}, ...minutes.map((minute) => element("tr", {},
			element("th", { scope: "row" }, clock(minute * 60000).slice(0, 5)),
			...cells(minute).map((text) => element("td", {}, text))))));
}

// ---- panels

for (const panel of panels) {
	const id = `panel-${panel.room}`;

	panel.body = element("div");
	panel.root = element("section", { id, "aria-labelledby": `${id}-title` },
		element("h3", { id: `${id}-title` }, panel.title), panel.body);
	$("panels").append(panel.root);
}

/** Drawn anew when there is something new, and where one has scrolled to stays. */
function drawPanel(panel, visible) {
	const document = store.documents[panel.room] ?? null;
	const part = panel.pick && document ? panel.pick(document) : document, text = JSON.stringify(part);
	const scrolled = [...panel.body.querySelectorAll(".scroll")].map((e) => e.scrollLeft);

	panel.root.hidden = !visible || part === null;
	if (panel.root.hidden || panel.shown === text)
		return;
	panel.shown = text;
	panel.body.replaceChildren(...panel.draw(part));
	panel.body.querySelectorAll(".scroll").forEach((e, i) => e.scrollTo(scrolled[i] ?? 0, 0));
}

// ---- rooms, policy, what is wrong

function drawRooms() {
	$("rooms").replaceChildren(...store.rooms.map((r) => element("li", {},
		element("span", { class: `state ${r.state}` }, `${r.room}: ${r.state}`),
		element("p", {}, r.reason || r.doc))));
}

function drawPolicy() {
	const s = store.status, good = s.policy_last_reload_successful;
	const facts = [
		["From", s.policy],
		["Last reading", good ? "in force" : "refused; the one before stays in force"],
		["Readings", `${s.policy_reloads_succeeded} good, ${s.policy_reloads_failed} refused`],
	];

	$("policy").replaceChildren(element("dl", {}, ...facts.flatMap(([name, text]) =>
		[element("dt", {}, name), element("dd", { class: !good && name === "Last reading" ? "down" : "" }, text)])));
}

function notices() {
	const list = [];

	if (store.away)
		list.push([`The agent does not answer${store.readAt ? ` since ${clock(store.readAt)}; what you see is from then` : ""}.`, "bad"]);
	else if (Date.now() - store.restartedAt < NOTICE_MS)
		list.push([`The agent was started again at ${clock(store.restartedAt)}. Its counters went on; ` +
			"what this page shows of the time before, it remembers itself.", ""]);
	if (store.status && !store.status.policy_last_reload_successful)
		list.push([`Policy was refused: ${store.status.policy_error}`, "bad"]);
	return list;
}

/** An alert is read out when it changes, so it is not written anew as long as it does not. */
function drawNotices() {
	const list = notices(), text = JSON.stringify(list);

	if ($("notices").dataset.shown === text)
		return;
	$("notices").dataset.shown = text;
	$("notices").replaceChildren(...list.map(([words, kind]) => element("p", { class: `notice ${kind}` }, words)));
}

function drawFresh() {
	const old = store.away || Date.now() - store.readAt > STALE_MS;

	$("fresh").textContent = store.readAt ? `${old ? "Old: " : ""}as of ${clock(store.readAt)}` : "";
	$("fresh").className = old ? "down" : "";
}

function show() {
	drawNotices();
	drawFresh();
	if (!store.status) {
		$("detail-name").textContent = store.away ? "No answer yet" : "Loading…";
		return;
	}
	$("host").textContent = store.status.host;
	$("about").textContent = `${store.status.version}, Linux ${store.status.kernel}, cgroups ${store.status.cgroups}`;
	document.title = `Nestor: ${store.status.host}`;
	drawRooms();
	drawPolicy();

	const root = drawTree(), node = find(root, chosen) ?? root;

	drawDetail(node);
	for (const panel of panels)
		drawPanel(panel, node === root);
}

$("tree").addEventListener("keydown", onTreeKey);
$("tree").addEventListener("click", (event) => {
	const item = event.target.closest("[role=treeitem]");

	if (item)
		choose(item, true);
});
$("filter").addEventListener("input", show);
$("numbers").addEventListener("toggle", show);
window.addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
store.run();
