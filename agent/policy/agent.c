// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "agent/lib/util.h"
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

int agent_policy_uid(const char *user, __u32 *ret_uid)
{
	_fclose_ FILE *f = NULL;
	struct passwd entry, *found;
	char line[4096];

	if (user[strspn(user, "0123456789")] == '\0') {
		*ret_uid = (__u32)strtoul(user, NULL, 10);
		return 0;
	}
	f = fopen("/etc/passwd", "re");
	while (f && !fgetpwent_r(f, &entry, line, sizeof(line), &found))
		if (!strcmp(found->pw_name, user)) {
			*ret_uid = found->pw_uid;
			return 0;
		}
	return -ENOENT;
}

static const char *check_user(const char *user)
{
	__u32 uid;

	return agent_policy_uid(user, &uid) ? "is neither a number nor a user in /etc/passwd" : NULL;
}

static const struct policy_key vmm_keys[] = {
	{
		LIST_AS(users, struct agent_vmm, "list of users", char *, NULL, AGENT_VMM_USERS_MAX),
		.len_max = 32,
		.check = check_user,
		.help = "Names in /etc/passwd, or numbers: their processes that run a VMM are vouched for, in no PID or user "
			"namespace but the agent's.",
	},
	{
		GLOBS(cgroups, struct agent_vmm),
		.help = "Globs of paths of cgroups, such as /lab.slice: so are those in such a cgroup, or below it.",
	},
	{},
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
	{
		MAP(vmm, struct agent_policy, vmm_keys),
		.usual = "{ users: [], cgroups: [] }",
		.help = "Which VMs policy may name, besides those in a scope of libvirt and those that root runs in no "
			"container: any "
			"user can run a program that is called as a VMM. Other VMs are shown, as user@UID/NAME, and no rule of "
			"the "
			"policy matches them.",
		.example = "vmm:\n"
			   "  users: [libvirt-qemu, 1000]\n"
			   "  cgroups: [/lab.slice]\n",
	},
	{},
};

const struct policy_section policy_agent = {
	.name = "agent",
	.help = "What reaches the log, and which containers and VMs get series of their own.",
	.size = sizeof(struct agent_policy),
	.keys = keys,
};
