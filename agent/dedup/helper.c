// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#include "agent/dedup/helper.h"
#include "agent/dedup/ksm.h"
#include "agent/dedup/merge.h"
#include "agent/lib/child.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define READ_NS (10ULL * 1000000000) /* for one call, of a batch: milliseconds, as a rule */

static int add_owner(struct dedup_round *r, const json_t *owner, uint16_t nr)
{
	const json_t *pid = json_object_get(owner, "pid");
	int err;

	if (pid)
		return dedup_round_add_process(r, (pid_t)json_integer_value(pid), nr);
	err = dedup_round_add_cgroup(r, json_string_value(json_object_get(owner, "path")), nr);
	return err == -ENOENT ? 0 : err; /* it has gone meanwhile */
}

static json_t *misses_json(const struct dedup_merged *m)
{
	json_t *all = json_object();

	for (size_t i = 0; i < DEDUP_MISSES; i++)
		json_object_set_new(all, dedup_miss_names[i], json_integer((json_int_t)m->missed[i]));
	return all;
}

static json_t *merge_json(const struct dedup_merged *m)
{
	const struct ksm_counts *a = &m->before, *b = &m->after;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "hinted_pages", (json_int_t)m->hints,
			 "joined_pages", (json_int_t)m->others, "merged_pages", (json_int_t)m->merged, "left_huge_pages",
			 (json_int_t)m->left_huge, "calls", (json_int_t)m->injection.calls, "stops",
			 (json_int_t)m->injection.steps, "longest_stop_seconds", (double)m->injection.longest_ns / 1e9,
			 "stopped_seconds", (double)m->injection.total_ns / 1e9, "inject_seconds", (double)m->inject_ns / 1e9,
			 "merge_seconds", (double)m->merge_ns / 1e9, "ksmd_seconds", (double)(b->cpu_ns - a->cpu_ns) / 1e9,
			 "missed_processes", misses_json(m));
}

static int do_round(struct dedup_round *r, const json_t *job, int run_dir, json_t **ret)
{
	struct dedup_merged merged;
	int err = dedup_round_look(r);

	if (err)
		return err;
	*ret = dedup_round_json(r);
	if (!json_is_true(json_object_get(job, "merge")))
		return 0;
	err = dedup_merge(r, run_dir, json_is_true(json_object_get(job, "leave_huge")), &merged);
	if (err)
		json_object_set_new(*ret, "refused", json_text(err == -EINTR ? "stopped" : log_last_error()));
	else
		json_object_set_new(*ret, "merge", merge_json(&merged));
	return 0;
}

static int run(const json_t *job, int run_dir, json_t **ret)
{
	const json_t *owners = json_object_get(job, "owners"), *owner;
	size_t nr = json_array_size(owners), i;
	_free_ char **names = calloc(nr + 1, sizeof(*names));
	struct dedup_round r;
	int err;

	if (!names)
		return log_error(-ENOMEM, "no memory");
	json_array_foreach (owners, i, owner)
		names[i] = (char *)json_string_value(json_object_get(owner, "name"));
	err = dedup_round_begin(&r, names, nr);
	r.percent = (unsigned int)json_integer_value(json_object_get(job, "percent"));
	r.except = json_object_get(job, "except");
	r.stuck = json_object_get(job, "stuck");
	r.wanted = (enum dedup_device)util_find_name(dedup_device_names, ARRAY_SIZE(dedup_device_names),
						     json_string_value(json_object_get(job, "device")));
	r.first_counts = true;
	json_array_foreach (owners, i, owner)
		if (!err)
			err = add_owner(&r, owner, (uint16_t)i);
	if (!err)
		err = do_round(&r, job, run_dir, ret);
	dedup_round_end(&r);
	return err;
}

/* Exec has given root all of them back. CAP_SYS_NICE, for injecting, where we have it. */
static int keep_needed(void)
{
	static const unsigned int needed[] = { CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_PTRACE };
	bool has[ARRAY_SIZE(needed)];

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, needed[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i]);
	return capng_apply(CAPNG_SELECT_CAPS) ? log_error(-EPERM, "dedup: cannot give up capabilities") : 0;
}

static void say(json_t *result)
{
	json_dumpfd(result, STDOUT_FILENO, JSON_COMPACT);
	json_decref(result);
}

static json_t *stuck_json(pid_t pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	return json_pack("{s:o, s:{s:I}}", "error", json_text(log_last_error()), "stuck", number,
			 (json_int_t)dedup_round_start_of(pid));
}

/* A process may let whoever reads its memory wait for ever. To exit ends that, too. */
static void *watch(void *unused)
{
	pid_t pid;

	(void)unused;
	while (!(pid = dedup_reading_since(READ_NS)))
		sleep(1);
	log_error(-ETIMEDOUT,
		  "dedup: process %d lets who reads its memory wait: it holds its memory map, or has a userfaultfd(2)", pid);
	say(stuck_json(pid));
	_exit(EXIT_FAILURE);
}

int dedup_main(char **argv)
{
	_close_ int run_dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_t *job = json_loadfd(STDIN_FILENO, 0, NULL), *result = NULL;
	pthread_t watcher;
	int err;

	log_open(DEDUP_NAME, LOG_LEVEL_WARNING);
	err = keep_needed();
	err = err ?: child_follow_parent(SIGTERM, STDOUT_FILENO);
	if (!err && (run_dir < 0 || !job))
		err = log_error(-EINVAL, "dedup: there is no job");
	if (!err && pthread_create(&watcher, NULL, watch, NULL))
		err = log_error(-EAGAIN, "dedup: no thread");
	if (!err)
		err = json_object_get(job, "owners") ? run(job, run_dir, &result) : ksm_undo(run_dir);
	if (err && !result)
		result = json_pack("{s:o}", "error", json_text(log_last_error()));
	if (result)
		say(result);
	json_decref(job);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
