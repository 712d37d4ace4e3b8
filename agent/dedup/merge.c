// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/dedup/merge.h"
#include "agent/dedup/ranges.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define SCANS 2 /* of ksmd: one to see that pages do not change, one to merge them */
#define SCANS_MAX 3 /* where one had begun before */
#define ENOUGH 98 /* percent of what it was told of */
#define LOOK_NS 10000000
#define TELLERS 8 /* processes that are told of at a time */
#define MERGE_NS (300ULL * 1000000000) /* at most */

const char *const dedup_miss_names[DEDUP_MISSES] = {
	[DEDUP_MISS_GONE] = "gone",	  [DEDUP_MISS_TRACED] = "traced", [DEDUP_MISS_BUSY] = "busy",
	[DEDUP_MISS_PROGRAM] = "program", [DEDUP_MISS_FILTER] = "filter", [DEDUP_MISS_MAPS] = "maps",
};

/* ---- nobody else ---- */

static bool is_ours(const struct dedup_round *r, pid_t pid)
{
	for (size_t i = 0; i < r->nr_processes; i++)
		if (r->processes[i].pid == pid)
			return true;
	return false;
}

/* The first one that may be merged and is not ours; 0: nobody. */
static pid_t find_other(const struct dedup_round *r)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && !is_ours(r, pid) && ksm_is_mergeable(pid))
			found = pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

/* KSM has one tree for the whole machine: whatever is mergeable is merged with ours. What one of ours has forked is ours. */
static int refuse_others(struct dedup_round *r)
{
	pid_t pid = find_other(r);
	char path[64], name[32] = "?";
	int err = pid ? dedup_round_refresh(r) : 0;

	if (err)
		return err;
	pid = pid ? find_other(r) : 0;
	if (!pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	util_read_file_at(AT_FDCWD, path, name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	return log_error(-EPERM, "dedup: nothing is merged: process %d (%s), which is not of the domain, has mergeable memory",
			 pid, name);
}

/* ---- telling KSM ---- */

static unsigned long count_lines(pid_t pid)
{
	char path[64], text[4096];
	_fclose_ FILE *f = NULL;
	unsigned long lines = 0;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && (n = fread(text, 1, sizeof(text), f)))
		for (size_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

/* Ranges that may be made of its mappings: half of what it may have, each of which makes up to two more. */
static size_t most_ranges(pid_t pid)
{
	char text[32];
	unsigned long most = 65530, has = count_lines(pid);

	if (util_read_file_at(AT_FDCWD, "/proc/sys/vm/max_map_count", text, sizeof(text)) > 0)
		most = strtoul(text, NULL, 10);
	return has < most / 2 ? (most / 2 - has) / 2 : 0;
}

static enum dedup_miss miss_of(int err)
{
	switch (err) {
	case -ESRCH:
		return DEDUP_MISS_GONE;
	case -EPERM:
		return DEDUP_MISS_TRACED;
	case -ENOEXEC:
		return DEDUP_MISS_PROGRAM;
	case -EACCES:
		return DEDUP_MISS_FILTER;
	default:
		return DEDUP_MISS_BUSY;
	}
}

static void add_injection(struct injection *sum, const struct injection *one)
{
	sum->calls += one->calls;
	sum->steps += one->steps;
	sum->total_ns += one->total_ns;
	if (one->longest_ns > sum->longest_ns)
		sum->longest_ns = one->longest_ns;
}

/* @pages, of one process */
static int tell_of(pid_t pid, const struct dedup_page *pages, size_t n, struct dedup_merged *m)
{
	struct injection done = {};
	struct dedup_plan plan;
	int err = dedup_plan(pages, n, most_ranges(pid), &plan);

	if (err)
		return log_error(err, "dedup: no memory");
	if (!plan.n) {
		m->missed[DEDUP_MISS_MAPS]++;
	} else {
		err = inject_madvise(pid, MADV_MERGEABLE, plan.ranges, plan.n, &done);
		add_injection(&m->injection, &done);
		if (err)
			m->missed[miss_of(err)]++;
		else
			m->hints += plan.pages;
		m->others += err ? 0 : plan.others;
	}
	dedup_plan_free(&plan);
	return 0;
}

/* Those who tell: each takes the next process. One has to wait between two steps for ten times as long as the step took. */
struct tellers {
	pthread_mutex_t lock;
	const struct dedup_round *r;
	size_t n, next; /* of r's pages, by process */
	struct dedup_merged *sum;
	int err;
};

/* Its pages are from *@from to where this returns, which is *@from when there is no more. */
static size_t take_next(struct tellers *t, size_t *from)
{
	const struct dedup_page *pages = t->r->pages.all;
	size_t end;

	pthread_mutex_lock(&t->lock);
	end = *from = t->next;
	if (t->err)
		end = *from = t->n;
	while (end < t->n && pages[end].process == pages[*from].process)
		end++;
	t->next = end;
	pthread_mutex_unlock(&t->lock);
	return end;
}

static void add_told(struct tellers *t, const struct dedup_merged *told, int err)
{
	pthread_mutex_lock(&t->lock);
	t->sum->hints += told->hints;
	t->sum->others += told->others;
	for (size_t i = 0; i < DEDUP_MISSES; i++)
		t->sum->missed[i] += told->missed[i];
	add_injection(&t->sum->injection, &told->injection);
	t->err = t->err ?: err;
	pthread_mutex_unlock(&t->lock);
}

static void *tell_some(void *data)
{
	struct tellers *t = data;
	size_t from, end;

	while ((end = take_next(t, &from)) > from) {
		const struct dedup_page *pages = &t->r->pages.all[from];
		struct dedup_merged told = {};
		int err = tell_of(t->r->processes[pages->process].pid, pages, end - from, &told);

		add_told(t, &told, err);
	}
	return NULL;
}

static int tell(struct dedup_round *r, struct dedup_merged *m)
{
	struct tellers t = { .lock = PTHREAD_MUTEX_INITIALIZER, .r = r, .n = dedup_sort_worth(&r->pages), .sum = m };
	uint64_t began = now_ns();
	pthread_t others[TELLERS - 1];
	size_t nr = 0;

	while (nr < ARRAY_SIZE(others) && !pthread_create(&others[nr], NULL, tell_some, &t))
		nr++;
	tell_some(&t);
	while (nr)
		pthread_join(others[--nr], NULL);
	m->inject_ns = now_ns() - began;
	return t.err;
}

static void leave(struct dedup_round *r, struct dedup_merged *m)
{
	for (size_t i = 0; i < r->pages.n; i++)
		if (r->pages.all[i].worth && r->pages.all[i].huge) {
			r->pages.all[i].worth = false;
			m->left_huge++;
		}
}

/* ---- merging ---- */

static volatile sig_atomic_t stopped;

static void on_term(int nr)
{
	stopped = nr;
}

static uint64_t merged_of(const struct dedup_round *r)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < r->nr_processes; i++)
		pages += ksm_merged(r->processes[i].pid);
	return pages;
}

/* Is there nothing more to be had? */
static bool is_done(const struct dedup_round *r, const struct dedup_merged *m)
{
	uint64_t scans = m->after.full_scans - m->before.full_scans;

	return scans >= SCANS_MAX || (scans >= SCANS && merged_of(r) >= m->hints * ENOUGH / 100);
}

static int await_scans(const struct dedup_round *r, struct dedup_merged *m)
{
	uint64_t began = now_ns();

	do {
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
		ksm_count(&m->after);
	} while (!stopped && !is_done(r, m) && now_ns() - began < MERGE_NS);
	m->merge_ns = now_ns() - began;
	return stopped ? -EINTR : 0;
}

/* Whoever ends us has to wait only here, until the settings of KSM are put back. */
static int merge(struct dedup_round *r, int run_dir, struct dedup_merged *m)
{
	const struct sigaction term = { .sa_handler = on_term };
	struct sigaction former;
	int undone, err;

	sigaction(SIGTERM, &term, &former);
	err = ksm_begin(run_dir, r->percent);
	if (!err) {
		err = await_scans(r, m);
		undone = ksm_undo(run_dir);
		err = err ?: undone;
		m->merged = merged_of(r);
	}
	sigaction(SIGTERM, &former, NULL);
	return err;
}

int dedup_merge(struct dedup_round *r, int run_dir, bool leave_huge, struct dedup_merged *ret)
{
	int err;

	*ret = (struct dedup_merged){};
	err = ksm_count(&ret->before)
		      ? log_error(-EOPNOTSUPP, "dedup: this kernel does not merge pages: CONFIG_KSM=y is needed")
		      : refuse_others(r);
	if (err)
		return err;
	if (leave_huge)
		leave(r, ret);
	err = tell(r, ret);
	ret->after = ret->before;
	return err ?: ret->hints ? merge(r, run_dir, ret) : 0;
}
