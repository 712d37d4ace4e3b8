// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent/net/policy.h"
#include "agent/policy/section.h"
#include "bpf/net.h"

const char *const net_kind_names[MIGRATION_KINDS] = {
	[MIGRATION_CRIU] = "criu",
	[MIGRATION_QEMU] = "qemu",
	[MIGRATION_CLOUD_HYPERVISOR] = "cloud-hypervisor",
	[MIGRATION_OTHER] = "other",
};

_Static_assert(NET_COMM_MAX == 16, "check_process() says 15");

/* Could a name that the kernel has cut match? One with more characters than are left never does; sets are not looked at. */
static const char *check_process(const char *glob)
{
	size_t nr = 0;

	for (const char *c = glob; *c; c++)
		nr += *c != '*';
	return nr >= NET_COMM_MAX && !strpbrk(glob, "[\\")
		       ? "fits no process, as the kernel cuts their names at 15 characters; end it with a star"
		       : NULL;
}

static const struct policy_key limit_keys[] = {
	{ GLOB(container, struct net_limit), .help = "Containers that it is for, by name." },
	{ GLOB(vm, struct net_limit), .help = "VMs that it is for, by name." },
	{ ENUM_OR_NONE(migration, struct net_limit, net_kind_names), .help = "The kind of migration that it is for." },
	{ RATE(egress, struct net_limit, "8kbit", "10Tbit"), .help = "Bits a second that are sent." },
	{ RATE(ingress, struct net_limit, "8kbit", "10Tbit"), .help = "Bits a second that are received." },
	{
		UINT(weight, struct net_limit, "number", "1", "10000"),
		.help = "Its share of link when it sends. See LIMITS OF NETWORK TRAFFIC in nestord(8).",
	},
	{},
};

/* BPF matches these globs, and knows no longer ones. */
static const struct policy_key migration_keys[] = {
	{ ENUM(kind, struct net_migration, net_kind_names), .help = "The kind, as metrics and limits call it." },
	{
		STRING(process, struct net_migration, "glob", NET_GLOB_MAX),
		.check = check_process,
		.help = "Name of the process that opened the socket, which the kernel cuts at 15 characters: a longer name "
			"ends with "
			"a star.",
	},
	{ STRING(container, struct net_migration, "glob", NET_GLOB_MAX), .help = "The container that it is in." },
	{ PORTS(port, struct net_migration), .help = "Of either end." },
	{ UINT(mark, struct net_migration, "number", "1", "4294967295"), .help = "The socket's SO_MARK." },
	{},
};

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct net_policy, policy_modes),
		.usual = "monitor",
		.help = "Whether to measure network traffic, and to put limits in force. monitor measures, and only counts "
			"what they "
			"would do.",
	},
	{
		RATE(link, struct net_policy, "1Mbit", "10Tbit"),
		.or_zero = true,
		.usual = "0",
		.help = "What the machine's link carries, which weights share. With 0 weights do nothing.",
		.example = "link: 10Gbit\n",
	},
	{
		LIST(limits, struct net_policy, struct net_limit, limit_keys),
		.one = "container, vm, migration",
		.some = "egress, ingress, weight",
		.usual = "[]",
		.help = "Limits of a container, a VM, or all migration traffic of a kind. Of several that fit one name, the "
			"first "
			"counts.",
		.example = "limits:\n"
			   "  - container: \"batch-*\"\n"
			   "    egress: 100Mbit\n"
			   "    ingress: 100Mbit\n"
			   "  - vm: guest1\n"
			   "    weight: 400\n"
			   "  - migration: qemu\n"
			   "    egress: 2Gbit\n",
	},
	{
		LIST_OF(migration, struct net_policy, struct net_migration, migration_keys, NET_RULES_MAX),
		.all = "kind",
		.some = "process, container, port, mark",
		.usual = "- kind: criu\n"
			 "  process: criu\n"
			 "- kind: qemu\n"
			 "  process: \"qemu-system-*\"\n"
			 "  port: 49152-49215\n"
			 "- kind: qemu\n"
			 "  process: kvm\n"
			 "  port: 49152-49215\n"
			 "- kind: cloud-hypervisor\n"
			 "  process: \"cloud-hyperviso*\"\n",
		.help = "Which sockets carry a migration, and of which kind. All that an entry has must fit, and the first "
			"entry that "
			"fits a socket counts. By default these are the processes criu and cloud-hypervisor, and QEMU's on the "
			"ports 49152-49215, which libvirt gives to migrations. At most 16 entries, with globs of at most 63 "
			"characters.",
		.example = "migration:\n"
			   "  - kind: other\n"
			   "    process: rsync\n"
			   "    port: 873\n",
	},
	{},
};

_Static_assert(NET_RULES_MAX == 16 && NET_GLOB_MAX == 63, "the help of migration says so");

const struct policy_section policy_net = {
	.name = "net",
	.help = "Bytes, packets and retransmits per container and VM, migration traffic apart, and limits of it.",
	.size = sizeof(struct net_policy),
	.keys = keys,
};
