// SPDX-License-Identifier: GPL-2.0
// The page: a tree of the machine's containers and VMs, and what the chosen one did.

import { Charts, bytes, clock, element, perSecond, quantiles, seconds, size } from "./charts.js";
import { gpufnParts } from "./gpufn.js";
import { MACHINE, Store, keyOf } from "./store.js";

const STALE_MS = 15000; // without an answer for so long, what is shown is called old
const NOTICE_MS = 120000; // for so long a restart is told of

const $ = (id) => document.getElementById(id);

const charts = new Charts($("charts"));
const store = new Store(show);
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
	const io = last(owner, "read_bytes") + last(owner, "written_bytes");
	const net = last(owner, "received_bytes") + last(owner, "sent_bytes");

	return io + net > 0 ? bytes(io + net) : "";
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
	const { times, marks, bounds } = store.history, to = times.at(-1) ?? Date.now();
	const from = Math.max(to - LONGEST_MS, Math.min(times[0] ?? to, to - SHORTEST_MS));
	const owner = node.owner ?? { ...NOTHING, latency: times.map(() => []) };

	$("detail-name").textContent = node.key === MACHINE ? node.name : nameOf(node);
	$("detail-about").textContent = about(node);
	drawChanges(marks);
	charts.draw({
		owner, parts: parts(node), times, marks: marks.filter((ms) => ms >= from && ms <= to), bounds, from, to, interval: 5000,
		reason: (room) => reasonOf(room, node),
		isOff: (room) => store.rooms.find((r) => r.room === room)?.reason === "off by policy",
	});
	if ($("numbers").open)
		drawTable(owner);
}

// ---- the table

const COLUMNS = [
	["Read", "read_bytes", bytes], ["Written", "written_bytes", bytes], ["Reads", "reads", perSecond],
	["Writes", "writes", perSecond], ["Page accesses", "accesses", perSecond], ["Misses", "misses", perSecond],
	["Evicted", "evictions", perSecond], ["Received", "received_bytes", bytes], ["Sent", "sent_bytes", bytes],
	["Migration", "migration_bytes", bytes], ["Cached in memory", "cache_memory", size],
	["its share", "cache_memory_share", size], ["Cached on the SSD", "cache_ssd", size], ["its share", "cache_ssd_share", size],
	["Given back", "cache_hits", perSecond],
];

const mean = (list) => (list.length ? list.reduce((a, b) => a + b) / list.length : null);

function drawTable(owner) {
	const { times, marks, bounds } = store.history, slow = quantiles(owner, bounds, 0.99);
	const minuteOf = (ms) => Math.floor(ms / 60000);
	const minutes = [...new Set(times.map(minuteOf))].reverse();
	const cells = (minute) => {
		const within = times.map((t, i) => i).filter((i) => minuteOf(times[i]) === minute);
		const known = (list) => within.map((i) => list[i]).filter((v) => v != null);
		const worst = known(slow);

		return [
			worst.length ? seconds(Math.max(...worst)) : "–",
			...COLUMNS.map(([, name, format]) => {
				const value = mean(known(owner.values[name] ?? []));

				return value === null ? "–" : format(value);
			}),
			marks.filter((ms) => minuteOf(ms) === minute).map(clock).join(", ") || "–",
		];
	};

	$("values").replaceChildren(
		element("caption", {}, "Means of each minute; the slowest 99th percentile"),
		element("thead", {}, element("tr", {}, ...["Minute", "p99", ...COLUMNS.map((c) => c[0]), "Policy changed"]
			.map((text) => element("th", { scope: "col" }, text)))),
		element("tbody", {}, ...minutes.map((minute) => element("tr", {},
			element("th", { scope: "row" }, clock(minute * 60000).slice(0, 5)),
			...cells(minute).map((text) => element("td", {}, text))))));
}

// ---- memory in common

const OWNERS_SHOWN = 16; // those that have most in common with others

/** What each has in common with each, and, on the diagonal, twice itself; bytes. */
function commonOf(domain) {
	const of = new Map();

	for (const o of domain.owners)
		of.set(`${o.owner}\n${o.owner}`, o.own_bytes);
	for (const p of domain.pairs)
		for (const key of [`${p.owner}\n${p.and}`, `${p.and}\n${p.owner}`])
			of.set(key, p.common_bytes);
	return (a, b) => of.get(`${a}\n${b}`) ?? 0;
}

function heatMap(domain) {
	const names = [...domain.owners].sort((a, b) => b.potential_bytes - a.potential_bytes).slice(0, OWNERS_SHOWN).map((o) => o.owner);
	const common = commonOf(domain), most = Math.max(1, ...names.flatMap((a) => names.map((b) => common(a, b))));
	const cell = (a, b) => {
		const td = element("td", {}, common(a, b) ? size(common(a, b)) : "–");

		td.style.setProperty("--part", 0.35 * common(a, b) / most);
		return td;
	};
	const left = domain.owners.length - names.length;
	const merged = domain.merge ? `, ${size(domain.merge.merged_pages * 4096)} merged` : "";

	return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Memory in common in ${domain.domain}` },
		element("table", { class: "heat" },
			element("caption", {}, `Domain ${domain.domain}: merging would free ${size(domain.potential_bytes)}${merged}. ` +
				`What each has in common with each, and twice itself${left ? `; ${left} more have less` : ""}.`),
			element("thead", {}, element("tr", {}, element("td"), ...names.map((n) => element("th", { scope: "col" }, n)))),
			element("tbody", {}, ...names.map((a) => element("tr", {}, element("th", { scope: "row" }, a),
				...names.map((b) => cell(a, b)))))));
}

/** Of the last rounds; drawn anew when there was one, so that what is being read or scrolled stays. */
function drawCommon(visible) {
	const known = store.domains.filter((d) => d.owners?.length), text = JSON.stringify(known);

	$("common").hidden = !visible || !known.length;
	if ($("common").hidden || $("domains").dataset.shown === text)
		return;
	$("domains").dataset.shown = text;
	$("domains").replaceChildren(...known.map(heatMap));
}

// ---- GPU functions

function drawGpufn(visible) {
	const scrolled = $("gpufn-parts").querySelector(".scroll")?.scrollLeft ?? 0;

	$("gpufn").hidden = !visible || !store.gpufn;
	if ($("gpufn").hidden)
		return;
	$("gpufn-parts").replaceChildren(...gpufnParts(store.gpufn));
	$("gpufn-parts").querySelector(".scroll")?.scrollTo(scrolled, 0);
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

	const root = drawTree();

	drawDetail(find(root, chosen) ?? root);
	drawCommon(!find(root, chosen) || chosen === MACHINE);
	drawGpufn(!find(root, chosen) || chosen === MACHINE);
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
