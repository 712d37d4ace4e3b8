// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/blkio/rules.h"
#include "agent/lib/util.h"
#include "agent/steer/cgroup_file.h"

/* ---- rules ---- */

static bool rule_names(const struct blkio_limit *rule, const struct workload *one)
{
	return who_matches(one, rule->container, rule->vm);
}

const struct blkio_limit *blkio_rules_first(const struct blkio_policy *p, const struct workload *one, const char *device)
{
	for (unsigned int i = 0; i < p->limits_count; i++)
		if (!strcmp(p->limits[i].device, device) && rule_names(&p->limits[i], one))
			return &p->limits[i];
	return NULL;
}

bool blkio_rules_has_target(const struct blkio_policy *p, const char *device)
{
	for (unsigned int i = 0; i < p->targets_count; i++)
		if (!strcmp(p->targets[i].device, device))
			return true;
	return false;
}

/* ---- which cgroup ---- */

static bool has_type(const char *mount, const char *path, const char *type)
{
	_fclose_ FILE *f = cgroup_file_open(mount, path, "cgroup.type");
	char line[64] = "";

	return f && fgets(line, sizeof(line), f) && !strcmp(line, type);
}

static bool has_children(const char *mount, const char *path)
{
	_fclose_ FILE *f = cgroup_file_open(mount, path, "cgroup.stat");
	unsigned int nr = 0;

	return f && fscanf(f, "nr_descendants %u", &nr) == 1 && nr;
}

/* No process but @pid in the cgroup, nor below. Threads of a process may have cgroups of their own below it. */
static bool is_alone(const char *mount, const char *path, int pid)
{
	_fclose_ FILE *f = cgroup_file_open(mount, path, "cgroup.procs");
	int other;

	while (f && fscanf(f, "%d", &other) == 1)
		if (other != pid)
			return false;
	return f && (!has_children(mount, path) || has_type(mount, path, "domain threaded\n"));
}

int blkio_rules_path(const char *mount, const struct workload *one, char *ret_path, size_t size, char *ret_why, size_t why_size)
{
	snprintf(ret_path, size, "%s", one->path);
	if (one->pid) /* libvirt puts threads of a VM into cgroups of their own, which have no io.max */
		while (has_type(mount, ret_path, "threaded\n"))
			*strrchr(ret_path, '/') = '\0';
	if (!strcmp(ret_path, "/") || !ret_path[0]) {
		snprintf(ret_why, why_size, "it is in the root cgroup, which cannot be limited");
		return -EINVAL;
	}
	if (one->pid && !is_alone(mount, ret_path, one->pid)) {
		snprintf(ret_why, why_size, "it is not alone in its cgroup %s, and others would be limited with it", ret_path);
		return -EBUSY;
	}
	return 0;
}
