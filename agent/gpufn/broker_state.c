// SPDX-License-Identifier: GPL-2.0
/* What the broker tells the agent, once a second: an object, which agent/gpufn/gpufn.c shows and counts. */
#include "agent/gpufn/broker.h"
#include "agent/gpufn/profiles.h"
#include "agent/lib/json_text.h"
#include "agent/lib/util.h"

static json_t *tenant_state(const struct tenant *t)
{
	const struct tenant_counts *n = &t->counts;

	return json_pack("{s:o, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}",
			 "tenant", json_text(t->name), "compile_seconds", n->compile_seconds, "weight", t->weight,
			 "memory_bytes", (json_int_t)t->memory_used, "memory_limit_bytes", (json_int_t)t->memory, "queued",
			 (json_int_t)t->nr_calls, "calls", (json_int_t)n->calls, "done", (json_int_t)n->done, "late",
			 (json_int_t)n->late, "dropped", (json_int_t)n->dropped, "failed", (json_int_t)n->failed, "cancelled",
			 (json_int_t)n->cancelled, "refused_early", (json_int_t)n->refused_early, "refused_queue",
			 (json_int_t)n->refused_queue, "refused_memory", (json_int_t)n->refused_memory, "refused_ceiling",
			 (json_int_t)n->refused_ceiling, "slices", (json_int_t)n->slices, "device_seconds", n->device_seconds,
			 "wasted_seconds", n->wasted_seconds);
}

static json_t *slices_of(const struct device *d, double since)
{
	json_t *all = json_array();
	__u64 first = d->nr_notes > SLICE_NOTES ? d->nr_notes - SLICE_NOTES : 0;

	for (__u64 i = first; i < d->nr_notes; i++) {
		const struct slice_note *n = &d->notes[i % SLICE_NOTES];

		if (n->began >= since)
			json_array_append_new(all, json_pack("{s:f, s:f, s:o, s:s, s:I}", "began", n->began, "seconds", n->took,
							     "tenant", json_text(n->tenant), "function", n->function, "call",
							     (json_int_t)n->call));
	}
	return all;
}

static json_t *profiles_of(const struct device *d)
{
	json_t *all = json_array();
	const struct profile *p;

	LIST_FOREACH (p, &d->profiles, entry) {
		const struct gpufn_profile profile = {
			.device = d->info.name,
			.driver = d->info.driver,
			.by = d->info.backend,
			.by_nr = (int)d->info.nr,
			.function = p->function,
			.source = p->source,
			.group_nanoseconds = p->beta * 1e9,
			.slices = p->seen,
		};

		if (p->seen)
			json_array_append_new(all, gpufn_profile_json(&profile));
	}
	return all;
}

static json_t *device_state(const struct device *d, double now)
{
	double queued = 0;
	const struct lane *l;

	LIST_FOREACH (l, &d->lanes, entry)
		queued += sched_backlog(l->sched);
	return json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o, s:o}", "device", d->info.name, "by",
			 d->info.backend, "driver", d->info.driver, "nr", (int)d->nr, "launch_seconds", d->launch,
			 "handling_seconds", d->handling, "transfer_bytes_per_second", d->transfer, "busy_seconds", d->busy,
			 "capacity", device_capacity(d, now), "queued_seconds", queued, "slices", (json_int_t)d->slices,
			 "memory_bytes", (json_int_t)d->memory_used, "profiles", profiles_of(d), "recent",
			 slices_of(d, now - 10));
}

json_t *broker_state(struct broker *b)
{
	json_t *tenants = json_array(), *devices = json_array(), *lateness = json_array();
	const struct tenant *t;
	double now = now_s();

	LIST_FOREACH (t, &b->tenants, entry)
		json_array_append_new(tenants, tenant_state(t));
	for (unsigned int i = 0; i < b->nr_devices; i++)
		json_array_append_new(devices, device_state(&b->devices[i], now));
	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		json_array_append_new(lateness, json_integer((json_int_t)b->lateness.slots[i]));
	return json_pack("{s:f, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:o}", "now", now, "memory_bytes",
			 (json_int_t)b->memory_used, "memory_limit_bytes", (json_int_t)b->memory, "policy",
			 json_incref(json_object_get(b->names, "nr")) ?: json_integer(0), "functions", (json_int_t)b->library.n,
			 "functions_refused", (json_int_t)b->library.refused, "executors_started",
			 (json_int_t)b->executors_started, "executors_killed", (json_int_t)b->executors_killed,
			 "executors_died", (json_int_t)b->executors_died, "executors_forged", (json_int_t)b->executors_forged,
			 "lateness", lateness, "lateness_ns", (json_int_t)b->lateness_ns, "tenants", tenants, "devices",
			 devices);
}
