/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the operator wants, read from YAML. agent/policy/policy.yaml explains every key and is the default;
 * a policy file overrides single keys. A room's section is a struct here, its fields a table in agent/policy/section.c.
 */
#ifndef NESTOR_POLICY_H
#define NESTOR_POLICY_H

#include <stdio.h>

#include <jansson.h>
#include <linux/types.h>

#include "agent/lib/log.h"
#include "gpu/sched/sched.h"

enum policy_mode { MODE_OFF, MODE_MONITOR, MODE_ENFORCE };

enum policy_self_stats { SELF_STATS_OFF, SELF_STATS_SAMPLE, SELF_STATS_ON };

enum migration_kind { MIGRATION_CRIU, MIGRATION_QEMU, MIGRATION_CLOUD_HYPERVISOR, MIGRATION_OTHER, MIGRATION_KINDS };

/*
 * Whom a rule is for: containers or VMs by the globs of their names (fnmatch(3)), NULL where not given. The checks
 * see to it that exactly one is.
 */

/* Limits of block I/O on one disk; 0: none. */
struct blkio_limit {
	char *container, *vm;
	char *device; /* name of a whole disk: vda */
	__u64 read, write; /* bytes per second */
	__u64 read_iops, write_iops;
	__u32 weight; /* 1 to 10000 */
};

/* A latency to be kept by lowering the limits of all others on that disk. */
struct blkio_target {
	char *container, *vm;
	char *device;
	__u64 p99; /* nanoseconds */
};

/* Limits of network traffic; 0: none. @migration stands in the place of a name for traffic of that kind. */
struct net_limit {
	char *container, *vm;
	enum migration_kind *migration; /* NULL: not given */
	__u64 egress, ingress; /* bits per second */
	__u32 weight; /* share of net.link, 1 to 10000 */
};

/* Which sockets carry a migration: all conditions that are given must hold, and at least one is. */
struct net_migration {
	enum migration_kind kind;
	char *process; /* glob of the name (comm) of the process that opened the socket */
	char *container; /* glob of the container it is in */
	__u32 port, port_last; /* local or remote; port_last 0: one port */
	__u32 mark; /* SO_MARK */
};

/* A container's part of the second-level cache, each one's of those that the glob names. */
struct cache_pool_rule {
	char *container;
	__u32 memory, ssd; /* weights, up to 10000; 0: nothing of that store */
};

/* A domain whose members trust each other, and who is in it. */
struct dedup_target {
	char *domain;
	char *container, *vm;
};

enum policy_huge { HUGE_LEAVE, HUGE_SPLIT };

enum policy_device {
	DEVICE_AUTO, /* a GPU, if there is one */
	DEVICE_PROCESSOR, /* never */
	DEVICE_ANY, /* also OpenCL that computes on the processor */
};

enum policy_share { SHARE_BEST_EFFORT, SHARE_EQUAL, SHARE_FIXED, SHARE_DEADLINE };

/* Who may call GPU functions: containers, or a user's processes that are in none. */
struct gpufn_tenant {
	char *container, *user; /* a glob of names; a user's name or number */
	char *name; /* what all that it fits are called together; NULL: each for itself */
	__u32 weight; /* 1 to 10000; 0: not given, 1 */
	__u32 priority; /* the highest that a call may ask for, 0 to 3 */
	__u64 memory; /* bytes; 0: not given, gpufn.memory */
	__u32 queue; /* calls; 0: not given, gpufn.queue */
};

struct policy {
	struct {
		enum log_level log_level;
		__u32 max_containers;
		__u32 linger; /* seconds */
		__u32 min_age; /* seconds */
		char **include, **exclude; /* globs of names of containers and VMs */
		unsigned int include_count, exclude_count;
		enum policy_self_stats self_stats;
	} agent;
	struct {
		enum policy_mode mode;
		struct blkio_limit *limits;
		struct blkio_target *targets;
		unsigned int limits_count, targets_count;
	} blkio;
	struct {
		enum policy_mode mode; /* never MODE_ENFORCE */
	} pcache;
	struct {
		enum policy_mode mode;
		__u64 link; /* bits per second that weights share; 0: not told, and weights do nothing */
		struct net_limit *limits;
		struct net_migration *migration;
		unsigned int limits_count, migration_count;
	} net;
	struct {
		enum policy_mode mode;
		__u64 memory; /* bytes that the memory store may hold */
		char *ssd; /* path of a disk or a file, or "none" */
		__u64 ssd_size; /* bytes of it; 0: all */
		__u64 min_free; /* bytes: what MemAvailable is kept above, at the store's cost */
		struct cache_pool_rule *pools;
		unsigned int pools_count;
	} cache;
	struct {
		enum policy_mode mode;
		__u64 interval; /* nanoseconds */
		__u32 cpu; /* percent of a processor */
		__u32 max_pressure; /* percent of the time */
		enum policy_device device; /* that hashes and sorts */
		enum policy_huge huge;
		char *merge; /* the domain whose pages are merged, or "none" */
		struct dedup_target *targets;
		unsigned int targets_count;
	} dedup;
	struct {
		enum policy_mode mode;
		char *functions; /* directory, or "auto" */
		char *cache; /* directory, for what compilers make */
		char *socket; /* path, or "auto" */
		enum policy_share share;
		enum sched_rule rule; /* of gpu/sched/sched.h */
		__u64 slice_limit; /* nanoseconds */
		__u64 memory; /* bytes that a tenant's calls may have at a time */
		__u32 queue; /* calls that it may have at a time */
		struct gpufn_tenant *tenants;
		unsigned int tenants_count;
	} gpufn;
};

/* file:line:column: what is wrong */
struct policy_error {
	char text[512];
};

/*
 * Reads @path, a file or a directory whose *.yaml files are read in the order of their names, over the
 * defaults; NULL gives the defaults. Files must be regular, not links, owned by root or the caller and
 * not writable by others. 0, or -errno with @error filled in and *@ret_policy untouched. May sleep.
 */
int policy_load(const char *path, struct policy **ret_policy, struct policy_error *error);
void policy_free(struct policy *policy);

json_t *policy_to_json(const struct policy *policy);

#endif
