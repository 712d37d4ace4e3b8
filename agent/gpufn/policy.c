// SPDX-License-Identifier: GPL-2.0
#include "agent/gpufn/policy.h"
#include "agent/policy/section.h"

#define TENANT_LEN_MAX 63
#define USER_LEN_MAX 32 /* as useradd(8) has it */
#define SOCKET_LEN_MAX 107 /* sockaddr_un */

static const struct policy_key tenant_keys[] = {
	{ GLOB(container, struct gpufn_tenant), .help = "Containers, by name. Who is in a VM cannot call." },
	{
		STRING(user, struct gpufn_tenant, "name or number", USER_LEN_MAX),
		.help = "A user; applies to processes that are in no container. What a service or a session of systemd runs is "
			"in "
			"none.",
	},
	{
		STRING(name, struct gpufn_tenant, "name", TENANT_LEN_MAX),
		.help = "The tenant's. Else it is the container's, or user: and the user's. Entries of one name are one "
			"tenant, whose "
			"limits should be the same.",
	},
	{
		UINT(weight, struct gpufn_tenant, "number", "1", "10000"),
		.help = "Its share of devices against that of others; 1 if it is not given.",
	},
	{
		UINT(priority, struct gpufn_tenant, "number", "0", "3"),
		.help = "The highest that its calls may ask for; 0 if it is not given. With share: deadline calls of a higher "
			"one go "
			"first, whatever the deadlines.",
	},
	{ SIZE(memory, struct gpufn_tenant, "1MiB", "16TiB"), .help = "As above, for this tenant." },
	{ UINT(queue, struct gpufn_tenant, "number", "1", "10000"), .help = "As above, for this tenant." },
	{},
};

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct gpufn_policy, policy_modes),
		.usual = "off",
		.help = "Whether functions can be called. enforce holds tenants to their queue and memory, and refuses at once "
			"what "
			"cannot be done by its deadline; monitor takes all calls that there is room for (memory_all), and only "
			"counts what enforce would have refused.",
	},
	{
		STRING(functions, struct gpufn_policy, "path or auto", POLICY_PATH_MAX),
		.usual = "auto",
		.help = "The directory of functions, of which the user nestor-gpufn must be able to read all; auto are those "
			"that come "
			"with Nestor. Files that are written, renamed into it or removed are taken up at once.",
	},
	{
		STRING(cache, struct gpufn_policy, "path", POLICY_PATH_MAX),
		.usual = "/var/cache/nestor",
		.help = "The directory below which the processes that run functions have their file systems, in gpufn. Beside "
			"that, "
			"gpufn-profiles.json has what was learnt of how long functions take; without it that is learnt anew. "
			"The "
			"directory is made if it is missing; its parent must exist, and the user nestor-gpufn must get through "
			"to it.",
	},
	{
		STRING(socket, struct gpufn_policy, "path or auto", SOCKET_LEN_MAX),
		.usual = "auto",
		.help = "Where functions are called, at most 107 characters; auto is gpufn.sock in the agent's run directory. "
			"A change "
			"of functions, cache or socket takes place when the room is switched off and on.",
	},
	{
		ENUM(share, struct gpufn_policy, shares_rule_names),
		.usual = "deadline",
		.help = "Who is next on a device, of several tenants. deadline: whose deadline is, whoever that is. equal: by "
			"their "
			"weights, and what one leaves the others have. fixed: by their weights, and what one leaves nobody "
			"has. "
			"best-effort: by turns, whatever their turns take. Of one tenant it is always the deadline.",
	},
	{
		ENUM(rule, struct gpufn_policy, sched_rule_names),
		.usual = "adaptive",
		.help = "How calls of one tenant, or with share: deadline of all, are scheduled. The others are there to "
			"compare "
			"adaptive with: fcfs are whole calls in the order they came; rr by turns, in slices of 10 ms; edf "
			"whole by "
			"their deadlines; edf-late the same without those whose deadline has gone; edf-feasible the same "
			"without those "
			"that cannot be in time any more; edf-fixed the latter in slices of 10 ms.",
	},
	{
		DURATION(slice_limit, struct gpufn_policy, "10ms", "3600s"),
		.usual = "10s",
		.help = "For how long a slice of a function may run before it is taken for one that does not end, and its "
			"process is "
			"killed. Compiling has a minute of its own.",
	},
	{
		SIZE(memory, struct gpufn_policy, "1MiB", "16TiB"),
		.usual = "1GiB",
		.help = "What a tenant's calls may have at a time, on devices and for what comes and goes, unless its entry "
			"says "
			"otherwise. Inputs and outputs count twice, for they are in both places.",
	},
	{
		SIZE(memory_all, struct gpufn_policy, "1MiB", "16TiB"),
		.or_zero = true,
		.usual = "0",
		.help = "Memory that the calls of all tenants may have at a time, in monitor, too, where one tenant may have "
			"half of it. 0 is half of the machine's memory. A call that finds no room is refused before its inputs "
			"are sent.",
	},
	{
		UINT(queue, struct gpufn_policy, "number", "1", "10000"),
		.usual = "64",
		.help = "How many calls a tenant may have at a time, unless its entry says otherwise.",
	},
	{
		LIST(tenants, struct gpufn_policy, struct gpufn_tenant, tenant_keys),
		.one = "container, user",
		.usual = "[]",
		.help = "Who may call. Of several entries that fit the first one counts. All containers that an entry fits are "
			"one "
			"tenant if it has a name, else each is one.",
		.example = "tenants:\n"
			   "  - container: \"web-*\"\n"
			   "    weight: 3\n"
			   "  - user: render\n"
			   "    memory: 8GiB\n",
	},
	{},
};

const struct policy_section policy_gpufn = {
	.name = "gpufn",
	.help = "Functions for GPUs, which containers and users call by a socket, each with a deadline. See nestor-gpufn(7).",
	.size = sizeof(struct gpufn_policy),
	.keys = keys,
};
