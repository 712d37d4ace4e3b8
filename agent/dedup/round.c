// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/dedup/ranges.h"
#include "agent/dedup/round.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define PAUSE 1 /* seconds until what is worth merging is read again: what changes meanwhile is not */

/* ---- whose memory ---- */

static int append_process(struct dedup_round *r, const struct dedup_process *one)
{
	if (r->nr_processes == r->size) {
		size_t size = r->size ? r->size * 2 : 64;
		struct dedup_process *all = reallocarray(r->processes, size, sizeof(*all));

		if (!all)
			return log_error(-ENOMEM, "no memory");
		r->processes = all;
		r->size = size;
	}
	r->processes[r->nr_processes++] = *one;
	return 0;
}

/* @cgroup_dir: the process was listed there; NULL: it is an owner by its number. One that has gone meanwhile is left out. */
static int identify(struct dedup_round *r, pid_t pid, uint16_t owner, const char *cgroup_dir)
{
	struct dedup_process one = { .pid = pid, .owner = owner, .named = !cgroup_dir };
	int err = identity_open(pid, &one.id);

	if (err) {
		r->not_added += err != -ESRCH;
		return 0;
	}
	if (cgroup_dir && !identity_was_in(&one.id, cgroup_dir)) {
		identity_close(&one.id);
		return 0;
	}
	err = append_process(r, &one);
	if (err)
		identity_close(&one.id);
	return err;
}

static int add_process(struct dedup_round *r, pid_t pid, uint16_t owner, const char *cgroup_dir)
{
	for (size_t i = 0; i < r->nr_processes; i++)
		if (r->processes[i].pid == pid && r->first_counts)
			return 0;
		else if (r->processes[i].pid == pid)
			return log_error(-EINVAL, "process %d is among those of %s and of %s", pid,
					 r->names[r->processes[i].owner], r->names[owner]);
	return identify(r, pid, owner, cgroup_dir);
}

int dedup_round_add_process(struct dedup_round *r, pid_t pid, uint16_t owner)
{
	return add_process(r, pid, owner, NULL);
}

/* The number may be another process' by now. */
bool dedup_round_names(const struct dedup_round *r, pid_t pid)
{
	for (size_t i = 0; i < r->nr_processes; i++)
		if (r->processes[i].pid == pid)
			return r->processes[i].named && identity_check(&r->processes[i].id) != -ESRCH;
	return false;
}

bool dedup_round_excepts(const struct dedup_round *r, pid_t pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	return json_object_get(r->except, number);
}

static int add_members(const char *dir, uint16_t owner, void *data)
{
	struct dedup_round *r = data;
	char path[PATH_MAX];
	_fclose_ FILE *f = NULL;
	int pid, err = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	while (f && !err && fscanf(f, "%d", &pid) == 1)
		if (pid && !dedup_round_excepts(r, pid)) /* 0: of a PID namespace that is not ours */
			err = add_process(r, pid, owner, dir);
	return err;
}

static int walk(const struct dedup_round *r, const char *dir, uint16_t owner, dedup_visit *visit, void *data)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];
	int err;

	if (!d)
		return -errno;
	err = visit(dir, owner, data);
	while (!err && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < sizeof(path) &&
		    !json_object_get(r->except, path)) {
			err = walk(r, path, owner, visit, data);
			if (err == -ENOENT) /* it has gone; the others are there */
				err = 0;
		}
	closedir(d);
	return err;
}

int dedup_round_walk(const struct dedup_round *r, dedup_visit *visit, void *data)
{
	int err = 0;

	for (size_t i = 0; i < r->nr_cgroups && !err; i++) {
		err = walk(r, r->cgroups[i].dir, r->cgroups[i].owner, visit, data);
		if (err == -ENOENT)
			err = 0;
	}
	return err;
}

int dedup_round_add_cgroup(struct dedup_round *r, const char *dir, uint16_t owner)
{
	struct dedup_cgroup *all = reallocarray(r->cgroups, r->nr_cgroups + 1, sizeof(*all));
	char *copy = strdup(dir);

	r->cgroups = all ?: r->cgroups;
	if (!all || !copy) {
		free(copy);
		return log_error(-ENOMEM, "no memory");
	}
	all[r->nr_cgroups++] = (struct dedup_cgroup){ copy, owner };
	return walk(r, dir, owner, add_members, r);
}

/* ---- reading ---- */

/* To load the drivers takes longer than to read a gibibyte, and a GPU has one of these. */
static bool may_have_gpu(void)
{
	static const char *const nodes[] = { "/dev/nvidiactl", "/dev/dri", "/dev/kfd" };

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		if (!access(nodes[i], F_OK))
			return true;
	return false;
}

/* By itself a real one: an OpenCL that computes on this processor is slower than this processor without. */
static void find_device(struct dedup_round *r)
{
	struct gpu_list list;
	char why[192];

	snprintf(r->device, sizeof(r->device), "this processor");
	if (r->wanted == DEVICE_PROCESSOR || (r->wanted == DEVICE_AUTO && !may_have_gpu()))
		return;
	gpu_list(&list);
	for (size_t i = 0; i < list.n && !r->gpu; i++) {
		if ((list.devices[i].is_cpu && r->wanted == DEVICE_AUTO) || list.devices[i].refused[0])
			continue;
		r->gpu = gpu_open(&list.devices[i], why);
		if (r->gpu)
			snprintf(r->device, sizeof(r->device), "%s", list.devices[i].name);
		else
			log_warning("%s: %s", list.devices[i].name, why);
	}
}

/* One that has gone, or may not be looked at, is no reason not to look at the others. */
static int take_error(struct dedup_round *r, size_t nr, int err)
{
	const struct dedup_process *p = &r->processes[nr];

	if (err == -ESRCH)
		r->gone++;
	else if (err == -EACCES || err == -EPERM)
		r->refused++;
	else
		return err ? log_error(err, "process %d: %s", p->pid, strerror(-err)) : 0;
	if (r->gone + r->refused == r->nr_processes)
		return log_error(err, "%s: no process was there to read: %s", r->names[p->owner], strerror(-err));
	return 0;
}

uint64_t dedup_round_start_of(pid_t pid)
{
	char path[64], text[1024];
	const char *rest;
	unsigned long long start = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	rest = util_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
	if (rest)
		sscanf(rest, ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &start);
	return start;
}

/* Has an earlier round waited in vain for that process? */
static bool is_stuck(const struct dedup_round *r, pid_t pid)
{
	char number[16];
	const json_t *start;

	snprintf(number, sizeof(number), "%d", pid);
	start = json_object_get(r->stuck, number);
	return start && (uint64_t)json_integer_value(start) == dedup_round_start_of(pid);
}

static int read_one(struct dedup_round *r, struct dedup_reader *reader, size_t nr)
{
	const struct dedup_process *p = &r->processes[nr];
	int err;

	if (is_stuck(r, p->pid)) {
		r->left_stuck++;
		return 0;
	}
	dedup_reading_begin(p->pid);
	err = dedup_read(reader, &p->id, (uint32_t)nr, p->owner, &r->pages);
	dedup_reading_end();
	return take_error(r, nr, err);
}

static int read_all(struct dedup_round *r, struct dedup_reader *reader)
{
	int err = 0;

	for (size_t i = 0; i < r->nr_processes && !err; i++)
		err = read_one(r, reader, i);
	return err;
}

/* What is worth merging, which comes first and by process */
static int read_worth(struct dedup_round *r, struct dedup_reader *reader)
{
	const struct dedup_page *pages = r->pages.all;
	size_t end;

	r->worth = dedup_sort_worth(&r->pages);
	for (size_t i = 0; i < r->worth; i = end) {
		int err;

		for (end = i + 1; end < r->worth && pages[end].process == pages[i].process;)
			end++;
		dedup_reading_begin(r->processes[pages[i].process].pid);
		err = dedup_read_again(reader, &r->processes[pages[i].process].id, &pages[i], end - i, &r->again);
		dedup_reading_end();
		if (err && err != -ESRCH && err != -EACCES && err != -EPERM)
			return log_error(err, "process %d: %s", r->processes[pages[i].process].pid, strerror(-err));
	}
	return 0;
}

static void add_reading(struct dedup_reading *sum, const struct dedup_reading *one)
{
	sum->vanished += one->vanished;
	sum->huge += one->huge;
	sum->vast += one->vast;
	sum->shared += one->shared;
	sum->look_ns += one->look_ns;
	sum->read_ns += one->read_ns;
	sum->hash_ns += one->hash_ns;
	sum->device_ns += one->device_ns;
}

static int read_by(struct dedup_round *r, int (*read)(struct dedup_round *r, struct dedup_reader *reader),
		   struct dedup_pages *to)
{
	struct dedup_reader *reader = dedup_reader_open(r->gpu, r->secret, r->percent);
	int err;

	if (!reader)
		return -ENOMEM;
	err = read(r, reader);
	if (!err && dedup_reader_flush(reader, to))
		err = log_error(-EIO, "%s: %s", r->device, gpu_error(r->gpu));
	add_reading(&r->reading, dedup_reader_reading(reader));
	dedup_reader_close(reader);
	return err;
}

static int sum(struct dedup_round *r)
{
	static const uint8_t zeroes[PAGE_HASH_PAGE];
	uint64_t began = now_ns();
	int err;

	dedup_sums_free(&r->sums);
	err = dedup_sum(&r->pages, r->nr, page_hash(zeroes, r->secret), r->gpu, &r->sums);
	r->group_ns += now_ns() - began;
	r->reading.device_ns += r->sums.device_ns;
	return err ? log_error(err, "no memory") : 0;
}

/* Only what has a double is read again: nobody cares whether the others change. */
int dedup_round_look(struct dedup_round *r)
{
	struct dedup_pages worth;
	int err;

	find_device(r);
	err = read_by(r, read_all, &r->pages) ?: sum(r);
	if (err)
		return err;
	log_info("read %zu MiB of %zu processes", r->pages.n >> 8, r->nr_processes);
	sleep(PAUSE);
	err = read_by(r, read_worth, &r->again);
	if (err)
		return err;
	worth = (struct dedup_pages){ .all = r->pages.all, .n = r->worth };
	dedup_mark_changing(&r->again, &worth);
	return sum(r);
}

/* ---- what was found ---- */

static json_int_t bytes(uint64_t pages)
{
	return (json_int_t)pages * PAGE_HASH_PAGE;
}

static json_t *owners_json(const struct dedup_round *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->nr; i++) {
		const struct dedup_owner *o = &r->sums.owners[i];

		json_array_append_new(all, json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "owner",
						     json_text(r->names[i]), "present_bytes", bytes(o->present), "zero_bytes",
						     bytes(o->zero), "merged_bytes", bytes(o->merged), "changing_bytes",
						     bytes(o->changing), "own_bytes", bytes(o->own), "common_bytes",
						     bytes(o->common), "huge_bytes", bytes(o->huge), "potential_bytes",
						     (json_int_t)(o->potential * PAGE_HASH_PAGE)));
	}
	return all;
}

static json_t *pairs_json(const struct dedup_round *r)
{
	json_t *all = json_array();

	for (size_t a = 0; a < r->nr; a++)
		for (size_t b = a + 1; b < r->nr; b++)
			json_array_append_new(all, json_pack("{s:o, s:o, s:I}", "owner", json_text(r->names[a]), "and",
							     json_text(r->names[b]), "common_bytes",
							     bytes(r->sums.pairs[a * r->nr + b])));
	return all;
}

json_t *dedup_round_json(const struct dedup_round *r)
{
	const struct dedup_reading *d = &r->reading;
	uint64_t zero = 0;

	for (size_t i = 0; i < r->nr; i++)
		zero += r->sums.owners[i].zero;
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:s, s:f, s:{s:f, s:f, s:f, s:f}, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
			 "owners", owners_json(r), "pairs", pairs_json(r), "potential_bytes", bytes(r->sums.potential),
			 "zero_bytes", bytes(zero), "merged_bytes", bytes(r->sums.merged), "hashed_by", r->device,
			 "device_seconds", (double)d->device_ns / 1e9, "seconds", "look", (double)d->look_ns / 1e9, "read",
			 (double)d->read_ns / 1e9, "hash", (double)d->hash_ns / 1e9, "group", (double)r->group_ns / 1e9,
			 "left_out", "vanished_pages", (json_int_t)d->vanished, "ended_processes", (json_int_t)r->gone,
			 "refused_processes", (json_int_t)r->refused + (json_int_t)r->not_added, "stuck_processes",
			 (json_int_t)r->left_stuck, "huge_page_mappings", (json_int_t)d->huge, "vast_mappings",
			 (json_int_t)d->vast, "shared_mappings", (json_int_t)d->shared);
}

/* An identity needs two. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int dedup_round_begin(struct dedup_round *r, char *const *names, size_t nr)
{
	*r = (struct dedup_round){ .names = names, .nr = nr, .percent = 100 };
	if (nr > DEDUP_OWNERS_MAX)
		return log_error(-E2BIG, "at most %d processes, cgroups or VMs can be compared", DEDUP_OWNERS_MAX);
	raise_descriptors();
	if (getrandom(r->secret, sizeof(r->secret), 0) != sizeof(r->secret))
		return log_error(-errno, "no random numbers: %m");
	return 0;
}

void dedup_round_end(struct dedup_round *r)
{
	gpu_close(r->gpu);
	dedup_sums_free(&r->sums);
	free(r->pages.all);
	free(r->again.all);
	for (size_t i = 0; i < r->nr_processes; i++)
		identity_close(&r->processes[i].id);
	free(r->processes);
	for (size_t i = 0; i < r->nr_cgroups; i++)
		free(r->cgroups[i].dir);
	free(r->cgroups);
}
