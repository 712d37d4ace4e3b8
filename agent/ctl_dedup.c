// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl_dedup.h"
#include "agent/dedup_round.h"
#include "agent/log.h"
#include "agent/util.h"

static int add_target(struct dedup_round *r, uint16_t owner)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/memory" };
	const char *target = r->names[owner];
	char path[PATH_MAX], *end;
	long pid = strtol(target, &end, 10);

	if (isdigit((unsigned char)*target) && !*end && pid > 0 && pid <= INT_MAX)
		return dedup_round_add_process(r, (pid_t)pid, owner);
	if (*target != '/')
		return log_error(-EINVAL, "'%s' is neither the number of a process nor the path of a cgroup", target);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if ((size_t)snprintf(path, sizeof(path), "%s%s/cgroup.procs", mounts[i], target) < sizeof(path) &&
		    !access(path, F_OK)) {
			path[strlen(path) - strlen("/cgroup.procs")] = '\0';
			return dedup_round_add_cgroup(r, path, owner);
		}
	return log_error(-ENOENT, "there is no cgroup %s", target);
}

static int find_targets(struct dedup_round *r)
{
	int err = 0;

	for (size_t i = 0; i < r->nr && !err; i++) {
		size_t before = r->nr_processes;

		err = add_target(r, (uint16_t)i);
		if (!err && r->nr_processes == before)
			err = log_error(-ESRCH, "%s has no process", r->names[i]);
	}
	return err;
}

json_t *dedup_report(char *const *targets, size_t nr)
{
	struct dedup_round r;
	json_t *json = NULL;

	if (geteuid()) {
		log_error(0, "only root can look into the memory of processes; try sudo");
		return NULL;
	}
	if (!dedup_round_begin(&r, targets, nr) && !find_targets(&r) && !dedup_round_look(&r))
		json = dedup_round_json(&r);
	dedup_round_end(&r);
	return json;
}
