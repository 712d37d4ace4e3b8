// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include <linux/types.h>

#include "agent/gpufn/metrics.h"
#include "agent/base/history.h"
#include "agent/base/metrics.h"
#include "agent/lib/util.h"

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

/* ---- tenants ---- */

struct tenant_families {
	struct family *calls, *refused, *compiling, *seconds, *wasted, *slices, *memory, *queued, *entitlement;
};

static void open_tenants(struct metrics *m, struct tenant_families *f)
{
	*f = (struct tenant_families){
		.calls = metrics_family(m, "nestor_gpufn_calls_total", METRIC_COUNTER,
					"Calls of functions that ended: done in time, late, dropped, failed or cancelled."),
		.refused = metrics_family(
			m, "nestor_gpufn_refused_total", METRIC_COUNTER,
			"Calls refused, or that would have been: for their deadline, queue, memory, or memory of all."),
		.compiling = metrics_family(m, "nestor_gpufn_compile_seconds_total", METRIC_COUNTER,
					    "Time that compiling functions took, which is no time of devices."),
		.seconds = metrics_family(m, "nestor_gpufn_device_seconds_total", METRIC_COUNTER, "Time of devices used."),
		.wasted = metrics_family(m, "nestor_gpufn_wasted_seconds_total", METRIC_COUNTER,
					 "Of that, for calls that were not done in time."),
		.slices = metrics_family(m, "nestor_gpufn_slices_total", METRIC_COUNTER, "Slices of functions that ran."),
		.memory = metrics_family(m, "nestor_gpufn_memory_bytes", METRIC_GAUGE,
					 "Memory that calls have, on devices and for what comes and goes."),
		.queued = metrics_family(m, "nestor_gpufn_queued_calls", METRIC_GAUGE, "Calls that have not ended."),
		.entitlement = metrics_family(m, "nestor_gpufn_entitlement_ratio", METRIC_GAUGE,
					      "Part of the devices' time by weight, of all tenants seen."),
	};
}

static void collect_tenant(const json_t *t, double weights, struct metrics *m, const struct tenant_families *f)
{
	static const char *const ends[] = { "done", "late", "dropped", "failed", "cancelled" };
	static const char *const reasons[][2] = { { "deadline", "refused_early" },
						  { "queue", "refused_queue" },
						  { "memory", "refused_memory" },
						  { "ceiling", "refused_ceiling" } };
	const char *name = text(t, "tenant"), *labels;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		metrics_double(f->calls, metrics_labels(m, "tenant", name, "result", ends[i], NULL), number(t, ends[i]));
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		metrics_double(f->refused, metrics_labels(m, "tenant", name, "reason", reasons[i][0], NULL),
			       number(t, reasons[i][1]));
	labels = metrics_labels(m, "tenant", name, NULL);
	metrics_double(f->compiling, labels, number(t, "compile_seconds"));
	metrics_double(f->seconds, labels, number(t, "device_seconds"));
	metrics_double(f->wasted, labels, number(t, "wasted_seconds"));
	metrics_double(f->slices, labels, number(t, "slices"));
	metrics_double(f->memory, labels, number(t, "memory_bytes"));
	metrics_double(f->queued, labels, number(t, "queued"));
	metrics_double(f->entitlement, labels, weights > 0 ? number(t, "weight") / weights : 0);
}

static void collect_tenants(const json_t *tenants, struct metrics *m)
{
	struct tenant_families f;
	double weights = 0;
	const json_t *t;
	size_t i;

	open_tenants(m, &f);
	json_array_foreach (tenants, i, t)
		weights += number(t, "weight");
	json_array_foreach (tenants, i, t)
		collect_tenant(t, weights, m, &f);
}

/* ---- devices ---- */

static void collect_devices(const json_t *devices, struct metrics *m)
{
	struct family *busy =
		metrics_family(m, "nestor_gpufn_busy_seconds_total", METRIC_COUNTER, "Time for which a device ran slices.");
	struct family *capacity = metrics_family(m, "nestor_gpufn_capacity_ratio", METRIC_GAUGE,
						 "Part of a device that is left for functions, by what slices took.");
	struct family *queued = metrics_family(m, "nestor_gpufn_queued_seconds", METRIC_GAUGE,
					       "Work that is queued for a device, if it had nothing else to do.");
	const json_t *d;
	size_t i;

	json_array_foreach (devices, i, d) {
		char name[80];
		const char *labels;

		snprintf(name, sizeof(name), "%s%.0f", text(d, "by"), number(d, "nr"));
		labels = metrics_labels(m, "device", name, NULL);
		metrics_double(busy, labels, number(d, "busy_seconds"));
		metrics_double(capacity, labels, number(d, "capacity"));
		metrics_double(queued, labels, number(d, "queued_seconds"));
	}
}

/* ---- the rest ---- */

static void collect_lateness(const json_t *state, struct metrics *m)
{
	const json_t *all = json_object_get(state, "lateness"), *n;
	struct hist h = { 0 };
	size_t i;

	json_array_foreach (all, i, n)
		if (i < HIST_SLOTS)
			h.slots[i] = (__u64)json_integer_value(n);
	metrics_hist(metrics_family(m, "nestor_gpufn_lateness_seconds", METRIC_HISTOGRAM,
				    "How late calls with a deadline were done; 0 if in time."),
		     "", &h, (unsigned long long)json_integer_value(json_object_get(state, "lateness_ns")));
}

void gpufn_stats_collect(const json_t *state, unsigned int restarts, struct metrics *m)
{
	static const char *const events[] = { "started", "killed", "died", "forged" };
	struct family *executors = metrics_family(
		m, "nestor_gpufn_executors_total", METRIC_COUNTER,
		"Processes that run functions: started, killed by us, died by themselves; forged: killed for false reports.");

	metrics_u64(metrics_family(m, "nestor_gpufn_broker_restarts_total", METRIC_COUNTER,
				   "How often the broker died and was started again."),
		    "", restarts);
	if (!state)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		char key[32];

		snprintf(key, sizeof(key), "executors_%s", events[i]);
		metrics_double(executors, metrics_labels(m, "event", events[i], NULL), number(state, key));
	}
	metrics_double(metrics_family(m, "nestor_gpufn_functions", METRIC_GAUGE, "Functions in the library."), "",
		       number(state, "functions"));
	metrics_double(metrics_family(m, "nestor_gpufn_functions_refused", METRIC_GAUGE,
				      "Descriptions in it that are not understood."),
		       "", number(state, "functions_refused"));
	metrics_double(metrics_family(m, "nestor_gpufn_memory_limit_bytes", METRIC_GAUGE,
				      "Memory that all calls together may have, in bytes."),
		       "", number(state, "memory_limit_bytes"));
	collect_tenants(json_object_get(state, "tenants"), m);
	collect_devices(json_object_get(state, "devices"), m);
	collect_lateness(state, m);
}

void gpufn_stats_sample(const json_t *state, struct history *h)
{
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(state, "tenants"), i, t) {
		/* Users are no containers: just the machine's sum has them. */
		const char *container = strncmp(text(t, "tenant"), "user:", 5) ? text(t, "tenant") : "";
		double missed = number(t, "late") + number(t, "dropped") + number(t, "failed") + number(t, "refused_early");

		history_counter(h, "", container, "gpufn_done", (__u64)number(t, "done"));
		history_counter(h, "", container, "gpufn_missed", (__u64)missed);
	}
}
