// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "agent/policy/section.h"
#include "agent/lib/units.h"
#include "agent/lib/util.h"
#include "bpf/net.h"

/* ---- the keys: names, types, limits ---- */

#define GLOB_LEN_MAX 191 /* bytes */
#define PATH_LEN_MAX 1023
#define DOMAIN_LEN_MAX 63
#define TENANT_LEN_MAX 63
#define USER_LEN_MAX 32 /* as useradd(8) has it */
#define SOCKET_LEN_MAX 107 /* sockaddr_un */

static const cyaml_strval_t log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const cyaml_strval_t self_stats[] = {
	{ "off", SELF_STATS_OFF },
	{ "sample", SELF_STATS_SAMPLE },
	{ "on", SELF_STATS_ON },
};

/* For rooms that only observe. */
static const cyaml_strval_t observing_modes[] = {
	{ "off", MODE_OFF },
	{ "monitor", MODE_MONITOR },
};

static const cyaml_strval_t modes[] = {
	{ "off", MODE_OFF },
	{ "monitor", MODE_MONITOR },
	{ "enforce", MODE_ENFORCE },
};

static const cyaml_strval_t devices[] = {
	{ "auto", DEVICE_AUTO },
	{ "processor", DEVICE_PROCESSOR },
	{ "any", DEVICE_ANY },
};

static const cyaml_strval_t shares[] = {
	{ "best-effort", SHARE_BEST_EFFORT },
	{ "equal", SHARE_EQUAL },
	{ "fixed", SHARE_FIXED },
	{ "deadline", SHARE_DEADLINE },
};

static const cyaml_strval_t rules[] = {
	{ "fcfs", RULE_FCFS },
	{ "rr", RULE_RR },
	{ "edf", RULE_EDF },
	{ "edf-late", RULE_EDF_LATE },
	{ "edf-feasible", RULE_EDF_FEASIBLE },
	{ "edf-fixed", RULE_EDF_FIXED },
	{ "adaptive", RULE_ADAPTIVE },
};

static const cyaml_strval_t huge[] = {
	{ "leave", HUGE_LEAVE },
	{ "split", HUGE_SPLIT },
};

static const cyaml_strval_t kinds[] = {
	{ "criu", MIGRATION_CRIU },
	{ "qemu", MIGRATION_QEMU },
	{ "cloud-hypervisor", MIGRATION_CLOUD_HYPERVISOR },
	{ "other", MIGRATION_OTHER },
};

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define SECTION(name) __typeof__(((struct policy *)0)->name)
#define ENUM(key, type, strings) CYAML_FIELD_ENUM(#key, OPTIONAL | CYAML_FLAG_STRICT, type, key, strings, ARRAY_SIZE(strings))
#define ENUM_PTR(key, type, strings)                                                                                           \
	CYAML_FIELD_ENUM_PTR(#key, OPTIONAL | CYAML_FLAG_STRICT, type, key, strings, ARRAY_SIZE(strings))
#define UINT(key, type) CYAML_FIELD_UINT(#key, OPTIONAL, type, key)
#define STRING(key, type, max) CYAML_FIELD_STRING_PTR(#key, OPTIONAL, type, key, 1, max)
#define GLOB(key, type) STRING(key, type, GLOB_LEN_MAX)
#define LIST_OF(key, type, entry, max) CYAML_FIELD_SEQUENCE(#key, OPTIONAL | CYAML_FLAG_POINTER, type, key, &(entry), 0, max)
#define LIST(key, type, entry) LIST_OF(key, type, entry, CYAML_UNLIMITED)

/* libcyaml knows no units: it passes over these, and agent/policy/data.c reads them. */
#define UNITS(name, structure, units)                                                                                          \
	{                                                                                                                      \
		.key = #name, .data_offset = offsetof(structure, name), .value = {                                             \
			.type = CYAML_IGNORE,                                                                                  \
			.flags = OPTIONAL,                                                                                     \
			.data_size = sizeof(((structure *)0)->name),                                                           \
			.enumeration.strings = units,                                                                          \
		}                                                                                                              \
	}
#define PORTS(name, structure) UNITS(name, structure, NULL)

static const cyaml_schema_value_t glob_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, GLOB_LEN_MAX) };

static const cyaml_schema_field_t agent_fields[] = {
	ENUM(log_level, SECTION(agent), log_levels),
	UINT(max_containers, SECTION(agent)),
	UINT(linger, SECTION(agent)),
	UINT(min_age, SECTION(agent)),
	LIST(include, SECTION(agent), glob_entry),
	LIST(exclude, SECTION(agent), glob_entry),
	ENUM(self_stats, SECTION(agent), self_stats),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t blkio_limit_fields[] = {
	GLOB(container, struct blkio_limit),
	GLOB(vm, struct blkio_limit),
	STRING(device, struct blkio_limit, POLICY_DEVICE_LEN_MAX),
	UNITS(read, struct blkio_limit, units_sizes),
	UNITS(write, struct blkio_limit, units_sizes),
	UINT(read_iops, struct blkio_limit),
	UINT(write_iops, struct blkio_limit),
	UINT(weight, struct blkio_limit),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t blkio_target_fields[] = {
	GLOB(container, struct blkio_target),
	GLOB(vm, struct blkio_target),
	STRING(device, struct blkio_target, POLICY_DEVICE_LEN_MAX),
	UNITS(p99, struct blkio_target, units_durations),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t net_limit_fields[] = {
	GLOB(container, struct net_limit),
	GLOB(vm, struct net_limit),
	ENUM_PTR(migration, struct net_limit, kinds),
	UNITS(egress, struct net_limit, units_rates),
	UNITS(ingress, struct net_limit, units_rates),
	UINT(weight, struct net_limit),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t net_migration_fields[] = {
	ENUM(kind, struct net_migration, kinds),
	/* BPF matches these globs, and knows no longer ones. */
	STRING(process, struct net_migration, NET_GLOB_MAX),
	STRING(container, struct net_migration, NET_GLOB_MAX),
	/* and port_last */
	PORTS(port, struct net_migration),
	UINT(mark, struct net_migration),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t cache_pool_fields[] = {
	GLOB(container, struct cache_pool_rule),
	UINT(memory, struct cache_pool_rule),
	UINT(ssd, struct cache_pool_rule),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t cache_pool = { CYAML_VALUE_MAPPING(0, struct cache_pool_rule, cache_pool_fields) };
static const cyaml_schema_value_t blkio_limit = { CYAML_VALUE_MAPPING(0, struct blkio_limit, blkio_limit_fields) };
static const cyaml_schema_value_t blkio_target = { CYAML_VALUE_MAPPING(0, struct blkio_target, blkio_target_fields) };
static const cyaml_schema_value_t net_limit = { CYAML_VALUE_MAPPING(0, struct net_limit, net_limit_fields) };
static const cyaml_schema_value_t net_migration = { CYAML_VALUE_MAPPING(0, struct net_migration, net_migration_fields) };

static const cyaml_schema_field_t blkio_fields[] = {
	ENUM(mode, SECTION(blkio), modes),
	LIST(limits, SECTION(blkio), blkio_limit),
	LIST(targets, SECTION(blkio), blkio_target),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t pcache_fields[] = {
	ENUM(mode, SECTION(pcache), observing_modes),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t net_fields[] = {
	ENUM(mode, SECTION(net), modes),
	UNITS(link, SECTION(net), units_rates),
	LIST(limits, SECTION(net), net_limit),
	LIST_OF(migration, SECTION(net), net_migration, NET_RULES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t cache_fields[] = {
	ENUM(mode, SECTION(cache), modes),
	UNITS(memory, SECTION(cache), units_sizes),
	UNITS(min_free, SECTION(cache), units_sizes),
	STRING(ssd, SECTION(cache), PATH_LEN_MAX),
	UNITS(ssd_size, SECTION(cache), units_sizes),
	LIST(pools, SECTION(cache), cache_pool),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t dedup_target_fields[] = {
	STRING(domain, struct dedup_target, DOMAIN_LEN_MAX),
	GLOB(container, struct dedup_target),
	GLOB(vm, struct dedup_target),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t dedup_target = { CYAML_VALUE_MAPPING(0, struct dedup_target, dedup_target_fields) };

static const cyaml_schema_field_t dedup_fields[] = {
	ENUM(mode, SECTION(dedup), modes),
	UNITS(interval, SECTION(dedup), units_durations),
	UINT(cpu, SECTION(dedup)),
	UINT(max_pressure, SECTION(dedup)),
	ENUM(device, SECTION(dedup), devices),
	ENUM(huge, SECTION(dedup), huge),
	STRING(merge, SECTION(dedup), DOMAIN_LEN_MAX),
	LIST(targets, SECTION(dedup), dedup_target),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t gpufn_tenant_fields[] = {
	GLOB(container, struct gpufn_tenant),
	STRING(user, struct gpufn_tenant, USER_LEN_MAX),
	STRING(name, struct gpufn_tenant, TENANT_LEN_MAX),
	UINT(weight, struct gpufn_tenant),
	UINT(priority, struct gpufn_tenant),
	UNITS(memory, struct gpufn_tenant, units_sizes),
	UINT(queue, struct gpufn_tenant),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t gpufn_tenant = { CYAML_VALUE_MAPPING(0, struct gpufn_tenant, gpufn_tenant_fields) };

static const cyaml_schema_field_t gpufn_fields[] = {
	ENUM(mode, SECTION(gpufn), modes),
	STRING(functions, SECTION(gpufn), PATH_LEN_MAX),
	STRING(cache, SECTION(gpufn), PATH_LEN_MAX),
	STRING(socket, SECTION(gpufn), SOCKET_LEN_MAX),
	ENUM(share, SECTION(gpufn), shares),
	ENUM(rule, SECTION(gpufn), rules),
	UNITS(slice_limit, SECTION(gpufn), units_durations),
	UNITS(memory, SECTION(gpufn), units_sizes),
	UINT(queue, SECTION(gpufn)),
	LIST(tenants, SECTION(gpufn), gpufn_tenant),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t sections[] = {
	CYAML_FIELD_MAPPING("agent", OPTIONAL, struct policy, agent, agent_fields),
	CYAML_FIELD_MAPPING("blkio", OPTIONAL, struct policy, blkio, blkio_fields),
	CYAML_FIELD_MAPPING("pcache", OPTIONAL, struct policy, pcache, pcache_fields),
	CYAML_FIELD_MAPPING("net", OPTIONAL, struct policy, net, net_fields),
	CYAML_FIELD_MAPPING("cache", OPTIONAL, struct policy, cache, cache_fields),
	CYAML_FIELD_MAPPING("dedup", OPTIONAL, struct policy, dedup, dedup_fields),
	CYAML_FIELD_MAPPING("gpufn", OPTIONAL, struct policy, gpufn, gpufn_fields),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t policy_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct policy, sections) };
