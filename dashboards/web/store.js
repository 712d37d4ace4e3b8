// SPDX-License-Identifier: GPL-2.0
// What the page knows: read from the agent, kept over its restarts. No drawing here.

const EVERY_MS = 5000;
const TIMEOUT_MS = 8000;

export const MACHINE = "/";

export const keyOf = (vm, container) => vm + "/" + container;

/** The samples of the last 15 minutes. times[i] and each list of an owner belong together; null: not known. */
export class History {
	constructor() {
		this.times = [];
		this.owners = new Map(); // key: {vm, container, values: {name: [number|null]}, latency: [[bucket, count, …]]}
		this.marks = []; // when policy changed
		this.began = 0;
		this.number = 0;
		this.bounds = 0;
		this.units = new Map(); // of quantities
	}

	/** Takes over what came after sample this.number; all, if the agent is another one than before. */
	merge(answer) {
		const restarted = this.began !== 0 && answer.began !== this.began;
		const last = this.times.at(-1) ?? 0;
		const fresh = answer.times.map((t, i) => i).filter((i) => answer.times[i] > last);

		if (restarted && fresh.length)
			this.append([last + 1], [[]]); // nothing is known of the time between
		this.append(fresh.map((i) => answer.times[i]), fresh.map((i) => this.samplesAt(answer, i)));
		this.marks = [...new Set([...this.marks, ...answer.policy_changes])].sort((a, b) => a - b);
		this.began = answer.began;
		this.number = answer.number;
		this.bounds = answer.latency_bounds;
		this.units = new Map(answer.quantities.map((q) => [q.name, q.unit]));
		this.trim(answer.window_seconds * 1000);
		return restarted;
	}

	samplesAt(answer, i) {
		return answer.owners.map((o) => ({
			vm: o.vm,
			container: o.container,
			values: Object.entries(o.values).map(([name, list]) => [name, list[i]]),
			latency: o.latency[i],
		}));
	}

	append(times, samples) {
		times.forEach((time, n) => {
			for (const s of samples[n])
				this.put(s);
			this.times.push(time);
			for (const owner of this.owners.values())
				this.pad(owner);
		});
	}

	put(sample) {
		const key = keyOf(sample.vm, sample.container);
		let owner = this.owners.get(key);

		if (!owner) {
			owner = { vm: sample.vm, container: sample.container, values: {}, latency: [] };
			this.owners.set(key, owner);
			this.pad(owner);
		}
		for (const [name, value] of sample.values) {
			owner.values[name] ??= new Array(this.times.length).fill(null);
			owner.values[name].push(value);
		}
		owner.latency.push(sample.latency);
	}

	pad(owner) {
		for (const list of [...Object.values(owner.values), owner.latency])
			while (list.length < this.times.length)
				list.push(list === owner.latency ? [] : null);
	}

	trim(windowMs) {
		const first = this.times.findIndex((t) => t >= (this.times.at(-1) ?? 0) - windowMs);

		if (first > 0) {
			this.times.splice(0, first);
			for (const owner of this.owners.values())
				for (const list of [...Object.values(owner.values), owner.latency])
					list.splice(0, first);
		}
		this.marks = this.marks.filter((ms) => ms >= this.times[0]);
		for (const [key, owner] of this.owners)
			if (key !== MACHINE && Object.values(owner.values).every((list) => list.every((v) => v === null)))
				this.owners.delete(key);
	}
}

async function read(path) {
	const answer = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });

	if (!answer.ok)
		throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
	return answer.json();
}

export class Store {
	/** @documented: the rooms whose documents are wanted. */
	constructor(onChange, documented) {
		this.onChange = onChange;
		this.documented = documented;
		this.history = new History();
		this.status = null;
		this.rooms = [];
		this.containers = [];
		this.vms = [];
		this.documents = {}; // of rooms that are up
		this.readAt = 0; // when the agent answered last
		this.away = false;
		this.restartedAt = 0;
	}

	async poll() {
		try {
			const [history, status, rooms, containers, vms] = await Promise.all([
				read(`api/v1/history/${this.history.number}`),
				read("api/v1/status"),
				read("api/v1/rooms"),
				read("api/v1/containers"),
				read("api/v1/vms"),
			]);

			const up = this.documented.filter((room) => rooms.some((r) => r.room === room && r.state === "up"));
			const documents = Object.fromEntries(await Promise.all(up.map(async (room) => [room, await read(`api/v1/${room}`)])));

			if (this.history.merge(history))
				this.restartedAt = Date.now();
			Object.assign(this, { status, rooms, containers, vms, documents, readAt: Date.now(), away: false });
		} catch (error) {
			this.away = true;
			console.info(`Nestor does not answer: ${error.message}`);
		}
		this.onChange();
	}

	async run() {
		for (;;) {
			await this.poll();
			await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
		}
	}
}
