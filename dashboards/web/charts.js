// SPDX-License-Identifier: GPL-2.0
// Charts of one owner. Each is a figure with a sentence that says in words what it shows. Rooms say which there are.

// ---- numbers for people

const UNITS = ["", "Ki", "Mi", "Gi", "Ti"];

export function size(n) {
	let unit = 0;

	while (n >= 1024 && unit < UNITS.length - 1) {
		n /= 1024;
		unit++;
	}
	return `${n >= 100 || unit === 0 ? Math.round(n) : n.toPrecision(3)} ${UNITS[unit]}B`;
}

export const bytes = (n) => `${size(n)}/s`;

/** A step of the axis that is a round number of these units, for about four steps up to @most. */
function bytesStep(most) {
	const step = Math.max(most, 1) / 4, unit = 1024 ** Math.floor(Math.log2(step) / 10);

	return 2 ** Math.ceil(Math.log2(step / unit)) * unit;
}

export const perSecond = (n) => `${n >= 100 ? Math.round(n).toLocaleString("en") : Number(n.toPrecision(2))}/s`;

export const percent = (n) => `${Number((n * 100).toPrecision(3))} %`;

export function seconds(s) {
	if (s < 1e-3)
		return `${Number((s * 1e6).toPrecision(3))} µs`;
	return s < 1 ? `${Number((s * 1e3).toPrecision(3))} ms` : `${Number(s.toPrecision(3))} s`;
}

const TICKS_MS = [15000, 30000, 60000, 120000, 300000];

/** Round times between two, five at the most. */
function timeTicks({ min, max }) {
	const step = TICKS_MS.find((s) => (max - min) / s <= 5) ?? TICKS_MS.at(-1), list = [];

	for (let ms = Math.ceil(min / step) * step; ms <= max; ms += step)
		list.push(ms);
	return list;
}

/** Of a tick: without seconds where they are none. */
const shortClock = (ms) => (ms % 60000 ? clock(ms) : clock(ms).slice(0, 5));

/** The powers of ten between two numbers, and the next below. */
function powerTicks({ min, max }) {
	const list = [];

	for (let e = Math.floor(Math.log10(min)); 10 ** e <= max; e++)
		list.push(10 ** e);
	return list;
}

const plain = (n) => Number(n.toPrecision(3)).toLocaleString("en");

export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);

// ---- latencies

const boundOf = (bucket, bounds) => (bucket < bounds ? 2 ** bucket / 1e6 : Infinity);

/** The bound of the bucket that the quantile falls into; null: there were no I/Os. */
function quantile(pairs, bounds, q) {
	let all = 0, seen = 0;

	for (let i = 1; i < pairs.length; i += 2)
		all += pairs[i];
	for (let i = 0; i < pairs.length; i += 2) {
		seen += pairs[i + 1];
		if (seen >= q * all)
			return boundOf(Math.min(pairs[i], bounds - 1), bounds);
	}
	return null;
}

export const quantiles = (owner, bounds, q) => owner.latency.map((pairs) => quantile(pairs, bounds, q));

// ---- lines of charts, and columns of the table: values of a quantity, or what "of" makes of the owner's

export const valuesOf = (line, view) => (line.of ? line.of(view.owner, view.bounds) : view.owner.values[line.quantity] ?? []);

/** The line's own format, or that of its quantity's unit. */
export function formatOf(line, view) {
	const unit = view.units.get(line.quantity) ?? "";

	return line.format ?? { bytes: size, "bytes/s": bytes }[unit] ?? (unit.endsWith("/s") ? perSecond : plain);
}

// ---- drawing

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A moment when policy changed: a dotted line with a head, lest it is taken for one of the grid. */
function drawMark(c, x, top, bottom) {
	c.save();
	c.fillStyle = c.strokeStyle = style("--mark");
	c.beginPath();
	c.moveTo(x - 5, top);
	c.lineTo(x + 5, top);
	c.lineTo(x, top + 7);
	c.fill();
	c.setLineDash([2, 3]);
	c.beginPath();
	c.moveTo(x, top);
	c.lineTo(x, bottom);
	c.stroke();
	c.restore();
}

/** For Chart.js. */
const MARKS = {
	id: "marks",
	afterDatasetsDraw({ ctx, chartArea, scales }, args, { times }) {
		for (const ms of times)
			drawMark(ctx, Math.round(scales.x.getPixelForValue(ms)), chartArea.top, chartArea.bottom);
	},
};

function element(name, attributes = {}, ...children) {
	const e = document.createElement(name);

	for (const [key, text] of Object.entries(attributes))
		e.setAttribute(key, text);
	e.append(...children);
	return e;
}

export { element };

class Figure {
	constructor(spec) {
		this.spec = spec;
		this.words = element("p");
		this.canvas = element("canvas", { role: "img" });
		this.empty = element("p");
		this.root = element("figure", { id: `chart-${spec.id}` },
			element("figcaption", {}, element("h3", {}, spec.title), this.words),
			element("div", { class: "plot" }, this.canvas, this.empty));
	}

	/** @reason: why there is nothing to draw; "" if there is. */
	say(words, reason) {
		this.words.textContent = words;
		this.canvas.setAttribute("aria-label", `${this.spec.title}: ${words || reason}`);
		this.canvas.hidden = reason !== "";
		this.empty.hidden = reason === "";
		this.empty.textContent = reason;
	}
}

const points = (view, values) => view.times.map((x, i) => ({ x, y: values[i] ?? null }));

class LineFigure extends Figure {
	draw(view) {
		const lines = this.lines(view);

		this.format = formatOf(this.spec.lines?.[0] ?? { quantity: this.spec.areas.used }, view);
		this.root.hidden = Boolean(this.spec.optional) && !lines.length && view.isOff(this.spec.room);
		this.say(lines.length ? this.sentence(lines) : "", lines.length ? "" : view.reason(this.spec.room));
		if (!lines.length)
			return;
		this.chart ??= new Chart(this.canvas, this.config());
		this.paint(view);
		this.chart.data.datasets = lines.map((line, n) => this.dataset(line, n));
		if (this.format === bytes || this.format === size)
			this.chart.options.scales.y.ticks.stepSize = bytesStep(this.most(lines));
		this.chart.update("none");
	}

	/** Those of which anything is known. */
	lines(view) {
		return this.spec.lines.map((line) => ({ ...line, data: points(view, valuesOf(line, view)) }))
			.filter((line) => line.data.some((p) => p.y !== null));
	}

	/** "read now 3 MiB/s, at most 10 MiB/s; …": what it shows, in words. */
	sentence(lines) {
		const { format } = this;

		return lines.map((line) => {
			const known = line.data.map((p) => p.y).filter((y) => y !== null);

			return `${line.name} ${line.limit ? "" : "now "}${format(known.at(-1))}` +
				(line.limit ? "" : `, at most ${format(known.reduce((a, b) => Math.max(a, b)))}`);
		}).join("; ");
	}

	/** How high its axis has to reach. */
	most(lines) {
		return Math.max(...lines.flatMap((l) => l.data.map((p) => p.y ?? 0)));
	}

	dataset(line) {
		const color = style(`--line${line.color}`);

		return {
			label: line.name, data: line.data, borderColor: color, backgroundColor: color, borderWidth: line.limit ? 1.5 : 2,
			borderDash: line.limit ? [5, 4] : [], pointRadius: 0, pointHitRadius: 8, spanGaps: false, tension: 0,
		};
	}

	config() {
		const { most, logarithmic } = this.spec, format = (n) => this.format(n);

		return {
			type: "line",
			data: { datasets: [] },
			plugins: [MARKS],
			options: {
				animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
				interaction: { mode: "index", intersect: false },
				scales: {
					x: {
						type: "linear", ticks: { maxRotation: 0, callback: shortClock },
						afterBuildTicks: (axis) => (axis.ticks = timeTicks(axis).map((value) => ({ value }))),
					},
					y: {
						type: logarithmic ? "logarithmic" : "linear", beginAtZero: true, suggestedMax: most,
						ticks: { maxTicksLimit: 5, callback: format },
						afterBuildTicks: (axis) => logarithmic && (axis.ticks = powerTicks(axis).map((value) => ({ value }))),
					},
				},
				plugins: {
					marks: { times: [] },
					legend: { labels: { boxWidth: 14, boxHeight: 2 } },
					tooltip: {
						callbacks: {
							title: (items) => clock(items[0].parsed.x),
							label: (item) => `${item.dataset.label}: ${format(item.parsed.y)}`,
						},
					},
				},
			},
		};
	}

	/** Colours follow the theme, and the axis of time the window. */
	paint(view) {
		const { scales, plugins } = this.chart.options;

		scales.x.min = view.from;
		scales.x.max = view.to;
		plugins.marks.times = view.marks;
		plugins.legend.labels.color = style("--text");
		for (const axis of [scales.x, scales.y]) {
			axis.ticks.color = style("--quiet");
			axis.grid = { color: style("--grid") };
		}
	}

	remove() {
		this.chart?.destroy();
	}
}

const AREAS = 6; // as many colours as there are

/** The largest have an area of their own, the others one together; each stays in its place while sizes change. */
function areas(all, used, share) {
	const sized = all.map((part) => ({ ...part, used: part.owner.values[used] ?? [], share: part.owner.values[share] ?? [] }))
		.map((part) => ({ ...part, size: [...part.used, ...part.share].reduce((a, b) => Math.max(a, b), 0) }))
		.filter((part) => part.size > 0).sort((a, b) => b.size - a.size);
	const own = sized.slice(0, sized.length > AREAS ? AREAS - 1 : AREAS), others = sized.slice(own.length);
	const sum = (name) => Array.from({ length: Math.max(...others.map((part) => part[name].length)) },
		(_, i) => others.reduce((total, part) => total + (part[name][i] ?? 0), 0));

	own.sort((a, b) => a.name.localeCompare(b.name));
	return others.length ? [...own, { name: `${others.length} others`, used: sum("used"), share: sum("share") }] : own;
}

/** Of a container, or of all: what each has, one above the other, and dashed, likewise, what it is entitled to. */
class AreaFigure extends LineFigure {
	lines(view) {
		const list = areas(view.parts, this.spec.areas.used, this.spec.areas.share);
		/* Who is not known while others are has nothing: what is above him needs a ground. */
		const known = view.times.map((_, i) => list.some((part) => part.used[i] != null));
		const ground = (values) => known.map((k, i) => (k ? values[i] ?? 0 : null));

		return [
			...list.map((part, i) => ({ name: part.name, color: i + 1, area: true, data: points(view, ground(part.used)) })),
			...list.map((part, i) => ({ name: `share of ${part.name}`, color: i + 1, limit: true, data: points(view, ground(part.share)) })),
		];
	}

	/** "/web now 3.0 MiB of a share of 6.0 MiB; …" */
	sentence(lines) {
		const now = (line) => this.format(line.data.findLast((p) => p.y !== null).y), nr = lines.length / 2;

		return lines.slice(0, nr).map((line, i) => `${line.name} now ${now(line)} of a share of ${now(lines[nr + i])}`).join("; ");
	}

	most(lines) {
		const height = (some, i) => some.reduce((sum, line) => sum + (line.data[i].y ?? 0), 0);
		const used = lines.filter((line) => line.area), shares = lines.filter((line) => line.limit);

		return Math.max(...lines[0].data.flatMap((_, i) => [height(used, i), height(shares, i)]));
	}

	dataset(line, n) {
		const set = super.dataset(line);

		return {
			...set, stack: line.area ? "used" : "share", backgroundColor: `${set.borderColor}80`, borderWidth: line.area ? 1 : 2,
			fill: line.area ? (n === 0 ? "origin" : "-1") : false,
		};
	}

	config() {
		const config = super.config();

		config.options.scales.y.stacked = true;
		config.options.plugins.legend.labels.filter = (item, { datasets }) => datasets[item.datasetIndex].stack === "used";
		return config;
	}
}

/** When sample @n began: at the end of the one before, unless that was long ago. */
const since = (times, n, interval) => Math.max(times[n - 1] ?? 0, times[n] - (times[n] - times[n - 1] < 3 * interval ? 3 : 1) * interval);

const HEAT_LEFT = 52, HEAT_BOTTOM = 20;

class HeatFigure extends Figure {
	constructor(spec) {
		super(spec);
		this.canvas.addEventListener("pointermove", (e) => this.point(e));
		this.canvas.addEventListener("pointerleave", () => this.say(this.summary, ""));
	}

	draw(view) {
		const buckets = view.owner.latency.flatMap((pairs) => pairs.filter((_, i) => i % 2 === 0));

		this.view = view;
		this.summary = "";
		if (!buckets.length) {
			this.say("", view.reason(this.spec.room));
			return;
		}
		this.low = Math.max(0, buckets.reduce((a, b) => Math.min(a, b)) - 1);
		this.high = Math.min(view.bounds, buckets.reduce((a, b) => Math.max(a, b)) + 1);
		this.summary = `between ${seconds(boundOf(this.low, view.bounds))} and ${seconds(boundOf(Math.min(this.high, view.bounds - 1), view.bounds))}`;
		this.say(this.summary, "");
		this.fit();
		this.axes();
		this.cells();
		for (const ms of view.marks)
			drawMark(this.context, Math.round(this.x(ms)), 0, this.height - HEAT_BOTTOM);
	}

	fit() {
		const box = this.canvas.parentElement.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;

		this.width = box.width;
		this.height = box.height;
		this.canvas.width = Math.round(box.width * ratio);
		this.canvas.height = Math.round(box.height * ratio);
		this.context = this.canvas.getContext("2d");
		this.context.scale(ratio, ratio);
		this.rowHeight = (this.height - HEAT_BOTTOM) / (this.high - this.low + 1);
	}

	x(ms) {
		return HEAT_LEFT + (ms - this.view.from) / (this.view.to - this.view.from) * (this.width - HEAT_LEFT);
	}

	y(bucket) {
		return (this.high - bucket) * this.rowHeight;
	}

	axes() {
		const c = this.context, every = Math.ceil((this.high - this.low + 1) / 6);

		c.clearRect(0, 0, this.width, this.height);
		c.font = "12px system-ui, sans-serif";
		c.fillStyle = style("--quiet");
		c.textAlign = "right";
		c.textBaseline = "middle";
		for (let b = this.low; b <= Math.min(this.high, this.view.bounds - 1); b += every)
			c.fillText(seconds(boundOf(b, this.view.bounds)), HEAT_LEFT - 5, Math.max(6, this.y(b)));
		c.textAlign = "center";
		c.textBaseline = "alphabetic";
		for (const ms of timeTicks({ min: this.view.from, max: this.view.to }))
			c.fillText(shortClock(ms), Math.min(this.x(ms), this.width - 18), this.height - 4);
		c.strokeStyle = style("--grid");
		c.strokeRect(HEAT_LEFT + 0.5, 0.5, this.width - HEAT_LEFT - 1, this.height - HEAT_BOTTOM);
	}

	/** A column is as dark as its I/Os are many, by their logarithm: one slow I/O is to be seen among thousands. */
	cells() {
		const { times, owner, interval } = this.view, c = this.context, heat = style("--heat");
		const most = owner.latency.flat().filter((_, i) => i % 2 === 1).reduce((a, b) => Math.max(a, b), 1);

		times.forEach((ms, n) => {
			const left = Math.max(HEAT_LEFT, this.x(since(times, n, interval))), right = this.x(ms);

			for (let i = 0; i < owner.latency[n].length; i += 2) {
				c.fillStyle = `rgba(${heat}, ${0.2 + 0.8 * Math.log1p(owner.latency[n][i + 1]) / Math.log1p(most)})`;
				c.fillRect(left, this.y(owner.latency[n][i]), Math.max(1, right - left), Math.max(1, this.rowHeight - 0.5));
			}
		});
	}

	point(event) {
		const { times, owner, interval, bounds } = this.view;
		const n = times.findIndex((ms, i) => event.offsetX <= this.x(ms) && event.offsetX >= this.x(since(times, i, interval)));
		const bucket = this.high - Math.floor(event.offsetY / this.rowHeight);
		const at = n < 0 ? -1 : owner.latency[n].findIndex((b, i) => i % 2 === 0 && b === bucket);

		if (at < 0)
			this.say(this.summary, "");
		else
			this.say(`${clock(times[n])}: ${owner.latency[n][at + 1]} within ${seconds(boundOf(bucket, bounds))}`, "");
	}

	remove() {}
}

/**
 * All charts of the owner that is chosen. Each of @specs has an id, a title, its room, and what it draws: "heat" of the
 * latencies; "areas", which names the quantities "used" and "share"; or "lines" with a name and a colour each, whose values
 * are those of a "quantity", or what "of" makes of the owner's. An "optional" one is not shown of a room that is off.
 */
export class Charts {
	constructor(root, specs) {
		this.figures = specs.map((spec) => new (spec.heat ? HeatFigure : spec.areas ? AreaFigure : LineFigure)(spec));
		root.replaceChildren(...this.figures.map((f) => f.root));
	}

	/** @view: {owner, parts: [{name, owner}], times, marks, from, to, interval, bounds, units, reason(room), isOff(room)} */
	draw(view) {
		for (const figure of this.figures)
			figure.draw(view);
	}
}
