/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the operator wants, read from YAML. agent/policy.yaml explains every key and is the default;
 * a policy file overrides single keys. A room's section is a struct here, its fields a table in policy.c.
 */
#ifndef NESTOR_POLICY_H
#define NESTOR_POLICY_H

#include <stdio.h>

#include <jansson.h>
#include <linux/types.h>

#include "agent/log.h"

enum policy_mode { MODE_OFF, MODE_MONITOR };

enum policy_self_stats { SELF_STATS_OFF, SELF_STATS_SAMPLE, SELF_STATS_ON };

struct policy {
	struct {
		enum log_level log_level;
		__u32 max_containers;
		__u32 linger; /* seconds */
		enum policy_self_stats self_stats;
	} agent;
	struct {
		enum policy_mode mode;
	} blkio;
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
