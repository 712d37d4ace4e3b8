// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/ctl_dedup.h"
#include "agent/dedup_groups.h"
#include "agent/jsontext.h"
#include "agent/log.h"
#include "agent/util.h"

#define PAUSE 1 /* seconds between the readings: what changes meanwhile is not worth merging */

struct process {
	pid_t pid;
	uint16_t owner;
};

struct report {
	char *const *targets;
	size_t nr;
	struct process *processes;
	size_t nr_processes, size;
	struct gpu *gpu; /* NULL: this processor hashes */
	char device[128];
	uint8_t secret[PAGE_HASH_SECRET];
	struct dedup_pages first, second;
	struct dedup_reading reading; /* of the second one */
	struct dedup_sums sums;
	uint64_t group_ns;
	uint64_t gone, refused; /* processes that ended meanwhile, or may not be looked at */
};

/* ---- whose memory ---- */

static int add_process(struct report *r, pid_t pid, uint16_t owner)
{
	for (size_t i = 0; i < r->nr_processes; i++)
		if (r->processes[i].pid == pid)
			return log_error(-EINVAL, "process %d is among those of %s and of %s", pid,
					 r->targets[r->processes[i].owner], r->targets[owner]);
	if (r->nr_processes == r->size) {
		size_t size = r->size ? r->size * 2 : 64;
		struct process *all = reallocarray(r->processes, size, sizeof(*all));

		if (!all)
			return log_error(-ENOMEM, "no memory");
		r->processes = all;
		r->size = size;
	}
	r->processes[r->nr_processes++] = (struct process){ pid, owner };
	return 0;
}

static int add_members(struct report *r, const char *dir, uint16_t owner)
{
	char path[PATH_MAX];
	_fclose_ FILE *f = NULL;
	int pid, err = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	while (f && !err && fscanf(f, "%d", &pid) == 1)
		if (pid) /* 0: of a PID namespace that is not ours */
			err = add_process(r, pid, owner);
	return err;
}

/* A cgroup and all below it */
static int add_cgroup(struct report *r, const char *dir, uint16_t owner)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];
	int err;

	if (!d)
		return -errno;
	err = add_members(r, dir, owner);
	while (!err && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < sizeof(path))
			err = add_cgroup(r, path, owner);
	closedir(d);
	return err == -ENOENT ? 0 : err;
}

static int add_target(struct report *r, uint16_t owner)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/memory" };
	const char *target = r->targets[owner];
	char path[PATH_MAX], *end;
	long pid = strtol(target, &end, 10);

	if (isdigit((unsigned char)*target) && !*end && pid > 0 && pid <= INT_MAX)
		return add_process(r, (pid_t)pid, owner);
	if (*target != '/')
		return log_error(-EINVAL, "'%s' is neither the number of a process nor the path of a cgroup", target);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if ((size_t)snprintf(path, sizeof(path), "%s%s/cgroup.procs", mounts[i], target) < sizeof(path) &&
		    !access(path, F_OK)) {
			path[strlen(path) - strlen("/cgroup.procs")] = '\0';
			return add_cgroup(r, path, owner);
		}
	return log_error(-ENOENT, "there is no cgroup %s", target);
}

static int find_targets(struct report *r)
{
	int err = 0;

	if (r->nr > DEDUP_OWNERS_MAX)
		return log_error(-E2BIG, "at most %d processes and cgroups can be compared", DEDUP_OWNERS_MAX);
	for (size_t i = 0; i < r->nr && !err; i++) {
		size_t before = r->nr_processes;

		err = add_target(r, (uint16_t)i);
		if (!err && r->nr_processes == before)
			err = log_error(-ESRCH, "%s has no process", r->targets[i]);
	}
	return err;
}

/* ---- reading ---- */

/* A real one, if there is: an OpenCL that computes on this processor is slower than this processor without. */
static void find_device(struct report *r)
{
	struct gpu_list list;
	char why[192];

	snprintf(r->device, sizeof(r->device), "this processor");
	gpu_list(&list);
	for (size_t i = 0; i < list.n && !r->gpu; i++) {
		if (list.devices[i].is_cpu || list.devices[i].refused[0])
			continue;
		r->gpu = gpu_open(&list.devices[i], why);
		if (r->gpu)
			snprintf(r->device, sizeof(r->device), "%s", list.devices[i].name);
		else
			log_warning("%s: %s", list.devices[i].name, why);
	}
}

static int read_process(struct report *r, struct dedup_reader *reader, size_t nr, struct dedup_pages *to)
{
	const struct process *p = &r->processes[nr];
	int err = dedup_read(reader, p->pid, (uint32_t)nr, p->owner, to);

	if (err == -ESRCH)
		r->gone++;
	else if (err == -EACCES || err == -EPERM)
		r->refused++;
	else
		return err ? log_error(err, "process %d: %s", p->pid, strerror(-err)) : 0;
	if (r->gone + r->refused == r->nr_processes)
		return log_error(err, "%s: no process was there to read: %s", r->targets[p->owner], strerror(-err));
	return 0;
}

static int read_all(struct report *r, struct dedup_pages *to)
{
	struct dedup_reader *reader = dedup_reader_open(r->gpu, r->secret);
	int err = 0;

	if (!reader)
		return -ENOMEM;
	r->gone = r->refused = 0;
	for (size_t i = 0; i < r->nr_processes && !err; i++)
		err = read_process(r, reader, i, to);
	if (!err && dedup_reader_flush(reader, to))
		err = log_error(-EIO, "%s: %s", r->device, gpu_error(r->gpu));
	r->reading = *dedup_reader_reading(reader);
	dedup_reader_close(reader);
	if (!err)
		log_info("read %zu MiB of %zu processes", to->n >> 8, r->nr_processes);
	return err;
}

static int look(struct report *r)
{
	static const uint8_t zeroes[PAGE_HASH_PAGE];
	uint64_t began;
	int err = read_all(r, &r->first);

	if (err)
		return err;
	sleep(PAUSE);
	err = read_all(r, &r->second);
	if (err)
		return err;
	began = now_ns();
	dedup_mark_changing(&r->first, &r->second);
	err = dedup_sum(&r->second, r->nr, page_hash(zeroes, r->secret), &r->sums);
	r->group_ns = now_ns() - began;
	return err ? log_error(err, "no memory") : 0;
}

/* ---- what was found ---- */

static json_int_t bytes(uint64_t pages)
{
	return (json_int_t)pages * PAGE_HASH_PAGE;
}

static json_t *owners_json(const struct report *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->nr; i++) {
		const struct dedup_owner *o = &r->sums.owners[i];

		json_array_append_new(all, json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "owner", json_text(r->targets[i]),
						     "present_bytes", bytes(o->present), "zero_bytes", bytes(o->zero),
						     "merged_bytes", bytes(o->merged), "changing_bytes", bytes(o->changing),
						     "own_bytes", bytes(o->own), "common_bytes", bytes(o->common)));
	}
	return all;
}

static json_t *pairs_json(const struct report *r)
{
	json_t *all = json_array();

	for (size_t a = 0; a < r->nr; a++)
		for (size_t b = a + 1; b < r->nr; b++)
			json_array_append_new(all, json_pack("{s:o, s:o, s:I}", "owner", json_text(r->targets[a]), "and",
							     json_text(r->targets[b]), "common_bytes",
							     bytes(r->sums.pairs[a * r->nr + b])));
	return all;
}

static json_t *report_json(const struct report *r)
{
	const struct dedup_reading *d = &r->reading;
	uint64_t zero = 0;

	for (size_t i = 0; i < r->nr; i++)
		zero += r->sums.owners[i].zero;
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:s, s:{s:f, s:f, s:f, s:f}, s:{s:I, s:I, s:I, s:I, s:I}}", "owners",
			 owners_json(r), "pairs", pairs_json(r), "potential_bytes", bytes(r->sums.potential), "zero_bytes",
			 bytes(zero), "merged_bytes", bytes(r->sums.merged), "hashed_by", r->device, "seconds", "look",
			 (double)d->look_ns / 1e9, "read", (double)d->read_ns / 1e9, "hash", (double)d->hash_ns / 1e9, "group",
			 (double)r->group_ns / 1e9, "left_out", "vanished_pages", (json_int_t)d->vanished, "ended_processes",
			 (json_int_t)r->gone, "refused_processes", (json_int_t)r->refused, "huge_page_mappings",
			 (json_int_t)d->huge, "vast_mappings", (json_int_t)d->vast);
}

static void clear(struct report *r)
{
	gpu_close(r->gpu);
	dedup_sums_free(&r->sums);
	free(r->first.all);
	free(r->second.all);
	free(r->processes);
	free(r);
}

json_t *dedup_report(char *const *targets, size_t nr)
{
	struct report *r;
	json_t *json = NULL;

	if (geteuid()) {
		log_error(0, "only root can look into the memory of processes; try sudo");
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->targets = targets;
	r->nr = nr;
	if (getrandom(r->secret, sizeof(r->secret), 0) != sizeof(r->secret))
		log_error(0, "no random numbers: %m");
	else if (!find_targets(r)) {
		find_device(r);
		if (!look(r))
			json = report_json(r);
	}
	clear(r);
	return json;
}
