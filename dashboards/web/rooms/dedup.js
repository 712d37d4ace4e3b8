// SPDX-License-Identifier: GPL-2.0
// Memory that the workloads of a trust domain have in common.

import { element, size } from "../charts.js";

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

export const order = 50;

/** Of the last rounds, of domains that had one. */
export const panel = {
	title: "Memory in common",
	pick(domains) {
		const known = domains.filter((d) => d.owners?.length);

		return known.length ? known : null;
	},
	draw: (known) => known.map(heatMap),
};
