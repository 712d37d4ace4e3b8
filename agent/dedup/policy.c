// SPDX-License-Identifier: GPL-2.0
#include "agent/dedup/policy.h"
#include "agent/policy/section.h"

#define DOMAIN_LEN_MAX 63

const char *const dedup_device_names[DEVICE_CHOICES] = {
	[DEVICE_AUTO] = "auto",
	[DEVICE_PROCESSOR] = "processor",
	[DEVICE_ANY] = "any",
};

static const char *const huge_names[] = { [HUGE_LEAVE] = "leave", [HUGE_SPLIT] = "split" };

static const struct policy_key target_keys[] = {
	{
		STRING(domain, struct dedup_target, "name", DOMAIN_LEN_MAX),
		.help = "The domain, whose members trust each other; not none.",
	},
	{ GLOB(container, struct dedup_target), .help = "Containers that are in it, by name." },
	{ GLOB(vm, struct dedup_target), .help = "VMs that are in it, by name." },
	{},
};

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct dedup_policy, policy_modes),
		.usual = "monitor",
		.help = "Whether to look for memory with the same content, and to have KSM merge what the domain of merge has "
			"twice. "
			"monitor only tells how much that is. With off the settings of KSM are put back; what is merged stays "
			"so.",
	},
	{
		DURATION(interval, struct dedup_policy, "1s", "86400s"),
		.usual = "600s",
		.help = "How long to wait after all domains have had their rounds, which come one after the other, until the "
			"next "
			"ones. A round reads all memory of a domain, and what is there more than once a second time.",
	},
	{
		UINT(cpu, struct dedup_policy, "percent", "1", "100"),
		.usual = "25",
		.help = "How much of one processor a round may take: its reading, and then ksmd.",
	},
	{
		UINT(max_pressure, struct dedup_policy, "percent", "0", "100"),
		.usual = "50",
		.help = "A round is left out if for more than this part of the last ten seconds somebody waited for a "
			"processor: some "
			"avg10 of /proc/pressure/cpu. Where there is no such file, no round is left out.",
	},
	{
		ENUM(device, struct dedup_policy, dedup_device_names),
		.usual = "auto",
		.help = "What hashes pages and sorts the hashes. auto is a GPU, if there is one that can be used, else a "
			"processor; "
			"processor leaves GPUs alone; any is the first device that `nestorctl gpu list` shows, which may be an "
			"OpenCL "
			"that computes on the processor. Such a one keeps code in the agent's run directory, and is of no use "
			"where "
			"that is mounted noexec, as Debian mounts /run; the processor itself is faster anyway. A device that "
			"fails "
			"while it sorts is done without; one that fails while it hashes ends the round.",
	},
	{
		ENUM(huge, struct dedup_policy, huge_names),
		.usual = "leave",
		.help = "What happens to pages worth merging that are parts of transparent huge pages. leave does not tell KSM "
			"of "
			"them; split does, and KSM splits the huge page. Before Linux 6.7 huge pages are not recognised, and "
			"are "
			"split.",
	},
	{
		STRING(merge, struct dedup_policy, "name or none", DOMAIN_LEN_MAX),
		.usual = "none",
		.help = "The domain whose pages are merged in mode enforce, one of those in targets; the others are only "
			"looked at. "
			"There can be but one, as KSM merges all that it is told of in the whole machine.",
	},
	{
		LIST(targets, struct dedup_policy, struct dedup_target, target_keys),
		.one = "container, vm",
		.all = "domain",
		.usual = "[]",
		.help = "Who is in which domain. Memory is compared and merged only within a domain: who can tell that a page "
			"is "
			"merged learns what another one has in memory. Of several entries that fit one name the first counts; "
			"who is "
			"in none is left alone. A domain may have several entries, and 256 containers and VMs; those beyond "
			"are left "
			"out. All processes in the cgroup of a container and below are the container's, those of VMs among "
			"them: a "
			"VM that runs in the cgroup of a container of another domain is in both.",
		.example = "targets:\n"
			   "  - domain: tenant-a\n"
			   "    vm: \"a-*\"\n"
			   "  - domain: tenant-b\n"
			   "    container: \"b-*\"\n",
	},
	{},
};

const struct policy_section policy_dedup = {
	.name = "dedup",
	.help = "Which pages of memory containers and VMs have in common, and the merging of these by the kernel's KSM. Only "
		"memory of "
		"the same trust domain is compared or merged. See MERGING OF MEMORY in nestord(8).",
	.size = sizeof(struct dedup_policy),
	.keys = keys,
};
