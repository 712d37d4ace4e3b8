// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/core/agent.h"
#include "agent/base/history.h"
#include "agent/lib/ipc.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/core/documents.h"
#include "agent/lib/util.h"
#include "agent/lib/version.h"

static void collect_core(struct agent *a, struct metrics *m)
{
	const struct reloads *reloads = &a->reloads;
	struct family *f;

	f = metrics_family(m, "nestor_build_info", METRIC_GAUGE, "Version of the agent; always 1.");
	metrics_u64(f, metrics_labels(m, "version", nestor_version, "revision", nestor_revision, NULL), 1);
	f = metrics_family(m, "nestor_room_up", METRIC_GAUGE, "1 if the room runs, 0 if it is off or could not start.");
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		metrics_u64(f, metrics_labels(m, "room", a->rooms[i].room->name, NULL), a->rooms[i].up);
	f = metrics_family(m, "nestor_room_wanted", METRIC_GAUGE, "1 if policy wants the room, 0 if it has it off.");
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		metrics_u64(f, metrics_labels(m, "room", a->rooms[i].room->name, NULL),
			    policy_mode(a->env.policy, a->rooms[i].room->policy) != MODE_OFF);
	f = metrics_family(m, "nestor_policy_last_reload_successful", METRIC_GAUGE,
			   "1 if the policy read last is in force, 0 if it was refused and the one before stays.");
	metrics_u64(f, "", reloads->last_ok);
	f = metrics_family(m, "nestor_policy_reloads_total", METRIC_COUNTER, "Policies read since the start, by result.");
	metrics_u64(f, metrics_labels(m, "result", "success", NULL), reloads->succeeded);
	metrics_u64(f, metrics_labels(m, "result", "failure", NULL), reloads->failed);
	f = metrics_family(m, "nestor_log_messages_dropped_total", METRIC_COUNTER,
			   "Log messages dropped because standard error was not read.");
	metrics_u64(f, "", log_dropped());
	f = metrics_family(
		m, "nestor_peer_messages_refused_total", METRIC_COUNTER,
		"Messages of the agent's processes and of nestorctl refused because they were cut or had a wrong descriptor.");
	metrics_u64(f, "", ipc_refused());
	f = metrics_family(m, "nestor_counters_reset_total", METRIC_COUNTER,
			   "Pinned counter maps dropped at start because their layout was another version's.");
	metrics_u64(f, "", a->env.counters_reset);
}

static int show_metrics(struct agent *a, struct buf *out)
{
	struct metrics *m;

	if (!a->metrics)
		a->metrics = metrics_new();
	m = a->metrics;
	if (!m)
		return -ENOMEM;
	metrics_reuse(m);
	collect_core(a, m);
	who_collect(a->env.who, m);
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		if (a->rooms[i].up)
			a->rooms[i].room->collect(a->rooms[i].self, m);
	return metrics_render(m, out);
}

static json_t *rooms_json(const struct agent *a)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < a->nr_rooms; i++) {
		const struct room_state *r = &a->rooms[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o, s:s}", "room", r->room->name, "state", r->up ? "up" : "down",
						"reason", json_text(r->up ? "" : r->reason), "doc", r->room->doc));
	}
	return list;
}

static json_t *status_json(const struct agent *a)
{
	const struct reloads *reloads = &a->reloads;

	return json_pack("{s:s, s:o, s:i, s:f, s:s, s:o, s:s, s:s, s:o, s:b, s:o, s:I, s:I}", "version", nestor_version, "host",
			 json_text(a->env.kernel.uts.nodename), "pid", (int)getpid(), "uptime_seconds",
			 (double)(now_ns() - a->started_ns) / 1e9, "metrics", a->metrics_url, "bpffs", json_text(a->opts.bpffs),
			 "kernel", a->env.kernel.uts.release, "cgroups", kernel_cgroup_mode(&a->env.kernel), "policy",
			 json_text(a->opts.policy ? a->opts.policy : "built-in"), "policy_last_reload_successful",
			 reloads->last_ok, "policy_error", json_text(reloads->error.text), "policy_reloads_succeeded",
			 (json_int_t)reloads->succeeded, "policy_reloads_failed", (json_int_t)reloads->failed);
}

static int dump(json_t *json, size_t flags, struct buf *out)
{
	char *text = json ? json_dumps(json, flags) : NULL;

	json_decref(json);
	if (!text)
		return -ENOMEM;
	buf_str(out, text);
	buf_str(out, "\n");
	free(text);
	return out->failed ? -ENOMEM : 0;
}

static int show_json(json_t *json, struct buf *out)
{
	return dump(json, JSON_INDENT(2), out);
}

/* For programs: there is much of it, and rates need no more digits. */
static int show_history(const struct agent *a, __u64 after, struct buf *out)
{
	return dump(a->history ? history_show(a->history, after) : NULL, JSON_COMPACT | JSON_REAL_PRECISION(5), out);
}

int documents_make(struct agent *a, const struct doc_request *request, struct buf *out)
{
	who_update(a->env.who);
	switch (request->document) {
	case DOC_METRICS:
		return show_metrics(a, out);
	case DOC_ROOMS:
		return show_json(rooms_json(a), out);
	case DOC_STATUS:
		return show_json(status_json(a), out);
	case DOC_POLICY:
		return show_json(policy_to_json(a->env.policy), out);
	case DOC_CONTAINERS:
		return show_json(who_show_containers(a->env.who), out);
	case DOC_VMS:
		return show_json(who_show_vms(a->env.who), out);
	case DOC_HISTORY:
		return show_history(a, request->after, out);
	case DOC_ROOM:
		if (request->room >= a->nr_rooms)
			return -EINVAL;
		if (!a->rooms[request->room].up)
			return -ENETDOWN;
		return show_json(a->rooms[request->room].room->show(a->rooms[request->room].self), out);
	default:
		return -EINVAL;
	}
}
