// SPDX-License-Identifier: GPL-2.0
/* What limits of network traffic do, as metrics; and which there are, for the history. */
#include <bpf/bpf.h>

#include "agent/base/history.h"
#include "agent/base/metrics.h"
#include "agent/net/net.h"
#include "agent/net/limit.h"
#include "agent/lib/util.h"
#include "build/bpf/net/netlimit.skel.h"

struct emit {
	struct net_limits *l;
	struct metrics *m;
	struct family *rate, *share, *bytes, *delayed, *dropped, *failed;
};

struct labels {
	const char *vm, *container, *migration;
};

static void emit_counts(struct emit *e, const struct labels *of, const char *direction, const char *mode,
			const struct netlimit_counts *n)
{
	const char *labels = metrics_labels(e->m, "vm", of->vm, "container", of->container, "migration", of->migration,
					    "direction", direction, "mode", mode, NULL);

	metrics_u64(e->bytes, labels, n->bytes);
	metrics_u64(e->delayed, labels, n->delayed);
	metrics_u64(e->dropped, labels, n->dropped);
}

static void emit_lane(struct emit *e, const struct labels *of, __u32 index, const char *direction)
{
	const struct netlimit_rule *rule = &e->l->rules[index];
	struct netlimit_lane lane;
	const char *labels;

	if ((!rule->rate && !rule->weight) ||
	    bpf_map_lookup_elem_flags(bpf_map__fd(e->l->bpf->maps.netlimit_lanes), &index, &lane, BPF_F_LOCK))
		return;
	emit_counts(e, of, direction, "enforce", &lane.enforced);
	emit_counts(e, of, direction, "monitor", &lane.monitored);
	labels = metrics_labels(e->m, "vm", of->vm, "container", of->container, "migration", of->migration, "direction",
				direction, NULL);
	if (rule->rate)
		metrics_u64(e->rate, labels, rule->rate);
	if (rule->weight && *e->l->link)
		metrics_u64(e->share, labels, lane.share);
}

static void emit_slot(struct emit *e, const struct labels *of, __u32 slot)
{
	emit_lane(e, of, slot * 2 + NETLIMIT_EGRESS, "egress");
	emit_lane(e, of, slot * 2 + NETLIMIT_INGRESS, "ingress");
}

static void emit_failure(struct emit *e, const struct labels *of, const char *why)
{
	if (why)
		metrics_u64(e->failed,
			    metrics_labels(e->m, "vm", of->vm, "container", of->container, "migration", of->migration, "reason",
					   why, NULL),
			    1);
}

static void emit_subjects(struct emit *e)
{
	const struct net_subject *s;

	LIST_FOREACH (s, &e->l->subjects, entry) {
		const struct labels of = { s->one ? s->one->vm : "", s->one ? s->one->container : "", "" };

		if (!s->one || !s->limited)
			continue;
		emit_failure(e, &of, s->failure);
		if (s->slot)
			emit_slot(e, &of, s->slot);
	}
	for (unsigned int kind = 0; kind < MIGRATION_KINDS; kind++)
		emit_slot(e, &(struct labels){ "", "", net_kind_names[kind] }, NETLIMIT_SLOT_MIGRATION + kind);
}

static void collect_devices(const struct net_limits *l, struct metrics *m)
{
	struct family *f = metrics_family(m, "nestor_net_limit_devices", METRIC_GAUGE,
					  "Devices by which limited ones send, by whether fq delays their packets.");

	metrics_u64(f, metrics_labels(m, "means", "delay", NULL), l->counts.held);
	metrics_u64(f, metrics_labels(m, "means", "drop", NULL), l->counts.policed);
}

void net_limit_collect(struct net *n, struct metrics *m)
{
	struct net_limits *l = n->limits;
	struct emit e = { .l = l, .m = m };

	metrics_u64(metrics_family(m, "nestor_net_limit_possible", METRIC_GAUGE,
				   "1 if network traffic can be limited on this machine."),
		    "", l->bpf != NULL);
	if (!l->bpf)
		return;
	e.rate = metrics_family(m, "nestor_net_limit_bits_per_second", METRIC_GAUGE, "Rate that policy allows.");
	e.share = metrics_family(m, "nestor_net_limit_share_bits_per_second", METRIC_GAUGE,
				 "Rate that the weight gives of the link at present.");
	e.bytes = metrics_family(m, "nestor_net_limit_bytes_total", METRIC_COUNTER,
				 "Bytes of Ethernet frames that passed a limit.");
	e.delayed = metrics_family(m, "nestor_net_limit_delayed_total", METRIC_COUNTER,
				   "Packets that a limit delayed; in mode monitor those that it would have.");
	e.dropped = metrics_family(m, "nestor_net_limit_dropped_total", METRIC_COUNTER,
				   "Packets that a limit dropped; in mode monitor those that it would have.");
	e.failed = metrics_family(m, "nestor_net_limit_refused", METRIC_GAUGE,
				  "1 for one that policy limits and that could not be limited.");
	emit_subjects(&e);
	collect_devices(l, m);
}

/* Policy's rates are in bits of Ethernet frames, traffic is shown in bytes. */
static void sample_rate(const struct net_limits *l, struct history *h, const struct net_subject *s, unsigned int direction,
			const char *quantity)
{
	const struct netlimit_rule *rule = &l->rules[s->slot * 2 + direction];

	if (rule->rate && rule->enforce)
		history_gauge(h, s->one->vm, s->one->container, quantity, (double)rule->rate / 8);
}

void net_limit_sample(struct net *n, struct history *h)
{
	const struct net_limits *l = n->limits;
	const struct net_subject *s;

	if (!l->bpf)
		return;
	LIST_FOREACH (s, &l->subjects, entry) {
		if (!s->one || !s->limited || !s->slot || s->failure)
			continue;
		sample_rate(l, h, s, NETLIMIT_EGRESS, "send_limit");
		sample_rate(l, h, s, NETLIMIT_INGRESS, "receive_limit");
	}
}
