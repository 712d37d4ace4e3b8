// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent/blkio/policy.h"
#include "agent/policy/section.h"
#include "agent/steer/disk.h"

static const char *check_device(const char *text)
{
	return strchr(text, '/') ? "is not the bare name of a disk, such as vda" : NULL;
}

#define DEVICE(structure)                                                                                                      \
	{                                                                                                                      \
		STRING(device, structure, "name", DISK_NAME_MAX - 1), .check = check_device,                                   \
								      .help = "The bare name of a whole disk, such as vda."    \
	}

static const struct policy_key limit_keys[] = {
	{ GLOB(container, struct blkio_limit), .help = "Containers that it is for, by name." },
	{ GLOB(vm, struct blkio_limit), .help = "VMs that it is for, by name." },
	DEVICE(struct blkio_limit),
	{ SIZE(read, struct blkio_limit, "1kB", "1TB"), .help = "Bytes a second that are read." },
	{ SIZE(write, struct blkio_limit, "1kB", "1TB"), .help = "Bytes a second that are written." },
	{ UINT(read_iops, struct blkio_limit, "number", "1", "1000000000"), .help = "Reads a second." },
	{ UINT(write_iops, struct blkio_limit, "number", "1", "1000000000"), .help = "Writes a second." },
	{
		UINT(weight, struct blkio_limit, "number", "1", "10000"),
		.help = "Its share of the disk against that of others, which is 100 where nothing is set. See LIMITS OF BLOCK "
			"I/O "
			"in nestord(8).",
	},
	{},
};

static const struct policy_key target_keys[] = {
	{ GLOB(container, struct blkio_target), .help = "Containers that it is for, by name." },
	{ GLOB(vm, struct blkio_target), .help = "VMs that it is for, by name." },
	DEVICE(struct blkio_target),
	{
		DURATION(p99, struct blkio_target, "10us", "60s"),
		.help = "The latency that 99 of 100 I/Os are to stay below.",
	},
	{},
};

static const struct policy_key keys[] = {
	{
		ENUM(mode, struct blkio_policy, policy_modes),
		.usual = "monitor",
		.help = "Whether to measure block I/O, and to put limits and targets in force. monitor measures, and only "
			"counts "
			"what they would do. With off nothing is attached to the kernel; counters that are pinned stay, and "
			"grow "
			"on when it is turned on again.",
	},
	{
		LIST(limits, struct blkio_policy, struct blkio_limit, limit_keys),
		.one = "container, vm",
		.all = "device",
		.some = "read, write, read_iops, write_iops, weight",
		.usual = "[]",
		.help = "Limits of a container or a VM on one disk. Of several that fit one name and disk, the first counts.",
		.example = "limits:\n"
			   "  - container: \"batch-*\"\n"
			   "    device: vda\n"
			   "    read: 50MiB\n"
			   "    write: 20MiB\n"
			   "    write_iops: 1000\n"
			   "  - vm: guest1\n"
			   "    device: vda\n"
			   "    weight: 400\n",
	},
	{
		LIST(targets, struct blkio_policy, struct blkio_target, target_keys),
		.one = "container, vm",
		.all = "device, p99",
		.usual = "[]",
		.help = "Latencies to keep. While the 99th percentile of one is over its target, others on that disk are "
			"slowed down "
			"step by step: those that limits names for it. A limit that is more than the disk can do, such as "
			"read: "
			"1TB, just names them. Of several that fit one name and disk, the first counts.",
		.example = "targets:\n"
			   "  - container: db\n"
			   "    device: vda\n"
			   "    p99: 5ms\n",
	},
	{},
};

const struct policy_section policy_blkio = {
	.name = "blkio",
	.help = "Latency, bytes and errors of block I/O per device, container and VM, and limits of it.",
	.size = sizeof(struct blkio_policy),
	.keys = keys,
};
