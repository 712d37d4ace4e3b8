// SPDX-License-Identifier: GPL-2.0
#include "agent/policy/section.h"
#include "agent/pulse/policy.h"

static const struct policy_key keys[] = {
	{
		UINT(interval, struct pulse_policy, "seconds", "1", "60"),
		.usual = "5",
		.help = "Time between two beats.",
	},
	{},
};

const struct policy_section policy_pulse = {
	.name = "pulse",
	.help = "A heart that beats.",
	.size = sizeof(struct pulse_policy),
	.keys = keys,
};
