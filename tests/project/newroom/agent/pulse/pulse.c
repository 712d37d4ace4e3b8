// SPDX-License-Identifier: GPL-2.0
/* pulse: the smallest room. It beats as often as policy says, counts its beats, and shows both. */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/history.h"
#include "agent/base/metrics.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/pulse/policy.h"
#include "agent/room.h"

struct pulse {
	__u64 began_ns;
	__u32 interval; /* seconds */
};

static __u64 beats(const struct pulse *p)
{
	return (now_ns() - p->began_ns) / 1000000000 / p->interval;
}

static int pulse_probe(const struct kernel *k)
{
	(void)k;
	return 0;
}

static int pulse_start(struct env *env, void **ret_self)
{
	struct pulse *p = calloc(1, sizeof(*p));

	(void)env;
	if (!p)
		return log_error(-ENOMEM, "pulse: out of memory");
	p->began_ns = now_ns();
	*ret_self = p;
	return 0;
}

static int pulse_apply(void *self, const struct policy *policy)
{
	const struct pulse_policy *section = policy_section(policy, &policy_pulse);
	struct pulse *p = self;

	p->interval = section->interval;
	return 0;
}

static void pulse_collect(void *self, struct metrics *m)
{
	const struct pulse *p = self;

	metrics_u64(metrics_family(m, "nestor_pulse_interval_seconds", METRIC_GAUGE, "Time between two beats."), "",
		    p->interval);
}

static const struct history_quantity pulse_quantities[] = {
	{ "pulse_beats", "beats", "beats of the heart", true },
	{},
};

static void pulse_sample(void *self, struct history *h)
{
	history_counter(h, "", "/heart", "pulse_beats", beats(self));
}

static json_t *pulse_show(void *self)
{
	const struct pulse *p = self;

	return json_pack("[{s:i}]", "interval_seconds", (int)p->interval);
}

static void pulse_stop(void *self)
{
	free(self);
}

const struct room room_pulse = {
	.name = "pulse",
	.doc = "a heart that beats",
	.policy = &policy_pulse,
	.probe = pulse_probe,
	.start = pulse_start,
	.apply = pulse_apply,
	.collect = pulse_collect,
	.sample = pulse_sample,
	.quantities = pulse_quantities,
	.show = pulse_show,
	.stop = pulse_stop,
};
