// SPDX-License-Identifier: GPL-2.0
#include "agent/policy/agent.h"
#include "agent/policy/section.h"

static const char *const log_levels[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *const self_stats[] = {
	[BPF_STATS_OFF] = "off",
	[BPF_STATS_SAMPLE] = "sample",
	[BPF_STATS_ON] = "on",
};

static const struct policy_key keys[] = {
	{
		ENUM(log_level, struct agent_policy, log_levels),
		.usual = "info",
		.help = "What reaches the log. The option --log-level of nestord(8) stands over it.",
	},
	{
		UINT(max_containers, struct agent_policy, "number", "1", "1000"),
		.usual = "100",
		.help = "How many containers get series of their own. The others are added up as container=\"~other\". A lower "
			"number "
			"takes effect at once: those that have been gone longest, then those that came last, lose their series "
			"to "
			"~other.",
	},
	{
		UINT(linger, struct agent_policy, "seconds", "0", "86400"),
		.usual = "300",
		.help = "How long the series of a container are kept after it has gone. Then its counts go to ~other, or to a "
			"new "
			"container of the same name. It is looked at every 10 seconds and at each reading of the metrics. A "
			"container "
			"that has gone leaves sooner if its place is needed for another.",
	},
	{
		UINT(min_age, struct agent_policy, "seconds", "0", "86400"),
		.usual = "0",
		.help = "How long a container must have lived before it gets series of its own. What it did until then is in "
			"its "
			"series when they come, or in ~other if it was gone before.",
	},
	{
		GLOBS(include, struct agent_policy),
		.usual = "[\"*\"]",
		.help = "Which containers and VMs get series of their own, by name. The others are in ~other.",
		.example = "include: [\"web-*\", \"db\"]\n",
	},
	{
		GLOBS(exclude, struct agent_policy),
		.usual = "[]",
		.help = "Which do not, though they are in include.",
		.example = "exclude: [\"*-tmp\"]\n",
	},
	{
		ENUM(self_stats, struct agent_policy, self_stats),
		.usual = "sample",
		.help = "Have the kernel measure the run time of BPF programs. That costs every BPF program of the machine, "
			"not just "
			"the agent's, a little. sample measures one second a minute.",
	},
	{},
};

const struct policy_section policy_agent = {
	.name = "agent",
	.help = "What reaches the log, and which containers and VMs get series of their own.",
	.size = sizeof(struct agent_policy),
	.keys = keys,
};
