// SPDX-License-Identifier: GPL-2.0
/* Limits of block I/O that are in force, and what was done to them, as metrics and for the history. */
#include <stdlib.h>

#include "agent/blkio/blkio.h"
#include "agent/blkio/limit.h"
#include "agent/blkio/steer.h"
#include "agent/base/history.h"
#include "agent/base/metrics.h"

static const char *const max_names[] = { "read_bytes", "write_bytes", "read_ios", "write_ios" };

/* Of several disks the limits add up, as the bytes do. */
void blkio_limit_sample(struct blkio *b, struct history *h)
{
	const struct cgroup_value *s;
	__u64 max[MAX_KINDS];

	TAILQ_FOREACH (s, &b->limits->settings.list, entry) {
		const struct workload *one = s->tag;

		if (!one || s->dry || s->file != SETTING_MAX)
			continue;
		blkio_limit_parse_max(s->now, max);
		if (max[READ_BYTES] != NO_MAX)
			history_gauge(h, one->vm, one->container, "read_limit", (double)max[READ_BYTES]);
		if (max[WRITE_BYTES] != NO_MAX)
			history_gauge(h, one->vm, one->container, "write_limit", (double)max[WRITE_BYTES]);
	}
}

static void collect_max(struct metrics *m, struct family *f, const struct cgroup_value *s, const struct workload *one)
{
	__u64 max[MAX_KINDS];

	blkio_limit_parse_max(s->now, max);
	for (unsigned int i = 0; i < MAX_KINDS; i++)
		if (max[i] != NO_MAX)
			metrics_u64(f,
				    metrics_labels(m, "vm", one->vm, "container", one->container, "device", s->disk.name,
						   "kind", max_names[i], NULL),
				    max[i]);
}

static void collect_values(const struct blkio_limits *l, struct metrics *m)
{
	struct family *f = metrics_family(
		m, "nestor_blkio_limit", METRIC_GAUGE,
		"Limits of block I/O in force, per second, and weights, of containers and VMs that policy names.");
	const struct cgroup_value *s;

	TAILQ_FOREACH (s, &l->settings.list, entry) {
		const struct workload *one = s->tag;

		if (!one || s->dry)
			continue;
		if (s->file == SETTING_MAX)
			collect_max(m, f, s, one);
		else
			metrics_u64(f,
				    metrics_labels(m, "vm", one->vm, "container", one->container, "device", s->disk.name,
						   "kind", "weight", NULL),
				    strtoull(s->now, NULL, 10));
	}
}

static void collect_actions(const struct blkio_limits *l, struct metrics *m)
{
	static const char *const actions[] = { [SETTING_SET] = "set", [SETTING_RESTORE] = "restore" };
	static const char *const results[] = {
		[SETTING_DONE] = "done",
		[SETTING_MONITORED] = "monitored",
		[SETTING_FAILED] = "failed",
	};
	struct family *f = metrics_family(m, BLKIO_ACTIONS, METRIC_COUNTER, BLKIO_ACTIONS_HELP);

	for (unsigned int a = 0; a < SETTING_ACTIONS; a++)
		for (unsigned int r = 0; r < SETTING_RESULTS; r++)
			metrics_u64(f, metrics_labels(m, "action", actions[a], "result", results[r], NULL),
				    l->settings.counts[a][r]);
}

void blkio_limit_collect(struct blkio *b, struct metrics *m)
{
	struct family *f = metrics_family(m, "nestor_blkio_limits_refused", METRIC_GAUGE,
					  "Limits that policy has and that cannot be set; the log says why.");
	const struct limited *lim;
	unsigned int refused = 0;

	collect_values(b->limits, m);
	collect_actions(b->limits, m);
	LIST_FOREACH (lim, &b->limits->ones, entry)
		refused += lim->refused;
	metrics_u64(f, "", refused);
}
