// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/dedup/ctl_targets.h"
#include "agent/dedup/inject.h"
#include "agent/dedup/round.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

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
			err = log_error(-ESRCH, *r->names[i] == '/' ? "no process is in %s" : "there is no process %s",
					r->names[i]);
	}
	return err;
}

static int begin(struct dedup_round *r, char *const *targets, size_t nr)
{
	int err = dedup_round_begin(r, targets, nr);

	if (!err && geteuid())
		err = log_error(-EPERM, "only root can look into the memory of processes; try sudo");
	return err ?: find_targets(r);
}

json_t *dedup_report(char *const *targets, size_t nr)
{
	struct dedup_round r;
	json_t *json = NULL;

	if (!begin(&r, targets, nr) && !dedup_round_look(&r))
		json = dedup_round_json(&r);
	dedup_round_end(&r);
	return json;
}

/* ---- undoing ---- */

#define AT_ONCE (128ULL * PAGE_HASH_PAGE) /* of a range: each page is copied while the thread that calls waits */

struct ranges {
	struct inject_range *all;
	size_t n, size;
};

static int add_range(struct ranges *r, uint64_t begin, uint64_t end)
{
	for (; begin < end; begin += AT_ONCE) {
		if (r->n == r->size) {
			size_t size = r->size ? r->size * 2 : 64;
			struct inject_range *all = reallocarray(r->all, size, sizeof(*all));

			if (!all)
				return -ENOMEM;
			r->all = all;
			r->size = size;
		}
		r->all[r->n++] = (struct inject_range){ begin, end - begin < AT_ONCE ? end - begin : AT_ONCE };
	}
	return 0;
}

/* Memory of @id that KSM may merge. -ESRCH: it is gone. */
static int find_mergeable(const struct identity *id, struct ranges *ret)
{
	int fd = openat(id->proc, "smaps", O_RDONLY | O_CLOEXEC), err = 0;
	_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	uint64_t begin = 0, end = 0, b, e;
	char line[4352];

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &b, &e) == 2) {
			begin = b;
			end = e;
		} else if (!strncmp(line, "VmFlags:", 8) && strstr(line, " mg")) {
			err = add_range(ret, begin, end);
		}
	}
	return err;
}

/* Bytes to *@ret. */
static int undo_process(const struct identity *id, uint64_t *ret)
{
	struct injection done = {};
	struct ranges ranges = {};
	int err = find_mergeable(id, &ranges);

	if (!err)
		err = inject_madvise(id, MADV_UNMERGEABLE, ranges.all, ranges.n, 10 * INJECT_TIMEOUT_MS, &done);
	for (uint64_t i = 0; i < done.calls; i++)
		*ret += ranges.all[i].length;
	free(ranges.all);
	return err;
}

json_t *dedup_undo(char *const *targets, size_t nr)
{
	uint64_t bytes = 0, failed = 0;
	struct dedup_round r;
	json_t *json = NULL;

	if (!begin(&r, targets, nr)) {
		for (size_t i = 0; i < r.nr_processes; i++) {
			int err = undo_process(&r.processes[i].id, &bytes);

			if (!err)
				continue;
			failed++;
			log_warning("process %d: %s", r.processes[i].pid, strerror(-err));
		}
		json = json_pack("{s:I, s:I, s:I}", "processes", (json_int_t)(r.nr_processes - failed), "failed_processes",
				 (json_int_t)failed, "unmergeable_bytes", (json_int_t)bytes);
	}
	dedup_round_end(&r);
	return json;
}
