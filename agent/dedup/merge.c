// SPDX-License-Identifier: GPL-2.0
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
#include "agent/dedup/outsiders.h"
#include "agent/dedup/ranges.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define SCANS 2 /* of ksmd: one to see that pages do not change, one to merge them */
#define SCANS_MAX 3 /* where one had begun before */
#define ENOUGH 98 /* percent of what it was told of */
#define LOOK_NS 1000000
#define BATCH_NS (10ULL * 1000000000) /* ksmd waits as long for the memory of a process, at most */
#define TELLERS 8 /* processes that are told of at a time */
#define MERGE_NS (300ULL * 1000000000) /* at most */

const char *const dedup_miss_names[DEDUP_MISSES] = {
	[DEDUP_MISS_GONE] = "gone",	    [DEDUP_MISS_CHANGED] = "changed", [DEDUP_MISS_TRACED] = "traced",
	[DEDUP_MISS_BUSY] = "busy",	    [DEDUP_MISS_PROGRAM] = "program", [DEDUP_MISS_FILTER] = "filter",
	[DEDUP_MISS_DISPATCH] = "dispatch", [DEDUP_MISS_LATE] = "late",	      [DEDUP_MISS_MAPS] = "maps",
};

/* ---- telling KSM ---- */

static unsigned long count_lines(pid_t pid)
{
	char path[64], text[4096];
	_fclose_ FILE *f = NULL;
	unsigned long lines = 0;
	size_t n;

	dedup_reading_begin(pid);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && (n = fread(text, 1, sizeof(text), f)))
		for (size_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	dedup_reading_end();
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
	case -ESTALE:
		return DEDUP_MISS_CHANGED;
	case -EPERM:
		return DEDUP_MISS_TRACED;
	case -ENOEXEC:
		return DEDUP_MISS_PROGRAM;
	case -EACCES:
		return DEDUP_MISS_FILTER;
	case -EOPNOTSUPP:
		return DEDUP_MISS_DISPATCH;
	case -ETIMEDOUT:
		return DEDUP_MISS_LATE;
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

static void miss(struct dedup_merged *m, const struct identity *id, int err)
{
	char name[32] = "?";

	m->missed[miss_of(err)]++;
	if (err != -ETIMEDOUT)
		return;
	util_read_file_at(id->proc, "comm", name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	log_warning("dedup: gave up telling KSM of process %d (%s): its calls of madvise() do not end", id->pid, name);
}

/* @pages, of one process */
static int tell_of(const struct identity *id, const struct dedup_page *pages, size_t n, struct dedup_merged *m)
{
	struct injection done = {};
	struct dedup_plan plan;
	int err = dedup_plan(pages, n, most_ranges(id->tid), &plan);

	if (err)
		return log_error(err, "dedup: no memory");
	if (!plan.n) {
		m->missed[DEDUP_MISS_MAPS]++;
	} else {
		err = inject_madvise(id, MADV_MERGEABLE, plan.ranges, plan.n, INJECT_TIMEOUT_MS, &done);
		add_injection(&m->injection, &done);
		if (err)
			miss(m, id, err);
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
		int err = tell_of(&t->r->processes[pages->process].id, pages, end - from, &told);

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
		pages += ksm_merged(r->processes[i].id.tid);
	return pages;
}

/* Is there nothing more to be had? */
static bool is_done(const struct dedup_round *r, const struct dedup_merged *m)
{
	uint64_t scans = m->after.full_scans - m->before.full_scans;

	return scans >= SCANS_MAX || (scans >= SCANS && merged_of(r) >= m->hints * ENOUGH / 100);
}

/* What a merging is about. */
struct merging {
	const struct dedup_round *r;
	struct ksm ksm;
	struct outsiders *outsiders;
	struct dedup_merged *m;
	uint64_t began; /* ns */
};

static void rest(uint64_t ns)
{
	nanosleep(&(struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) }, NULL);
}

/* ksmd looks at a batch, and then is asleep. */
static int step(struct merging *g, const char *pages)
{
	uint64_t began = now_ns();
	int err = ksm_wake(&g->ksm, pages);

	while (!err && !ksm_is_idle(&g->ksm)) {
		rest(LOOK_NS);
		if (stopped)
			err = -EINTR;
		else if (now_ns() - began > BATCH_NS)
			err = log_error(-ETIMEDOUT,
					"dedup: merging is given up: for ten seconds KSM has waited for the memory of a "
					"process");
	}
	ksm_count(&g->m->after);
	return err;
}

/* The part of a processor that it may have. */
static int step_and_rest(struct merging *g)
{
	uint64_t began = now_ns();
	int err = step(g, KSM_BATCH);

	if (!err)
		rest((now_ns() - began) * (100 - g->r->percent) / g->r->percent);
	return err;
}

/*
 * With the first page a pass has begun, and who comes into KSM's list from then on is behind it: nobody is merged in this pass
 * but those who are in the list now.
 */
static int pass(struct merging *g)
{
	uint64_t scans = g->m->after.full_scans;
	int err = outsiders_refuse(g->outsiders) ?: step(g, KSM_ONE_PAGE) ?: outsiders_refuse(g->outsiders);

	while (!err && g->m->after.full_scans == scans && now_ns() - g->began < MERGE_NS)
		err = stopped ? -EINTR : step_and_rest(g);
	return err;
}

/*
 * Who came into the list meanwhile was not merged. But one who left the domain meanwhile was; and on a kernel that may be
 * preempted anywhere a process may have been in the list for a moment before that could be seen.
 */
static int take_apart_outsiders(const struct merging *g)
{
	if (!outsiders_are_merged(g->outsiders))
		return 0;
	log_error(0, "dedup: all that KSM has merged is taken apart: a process that is not of the domain was merged meanwhile");
	return ksm_take_apart(&g->ksm);
}

/* ksmd may have been about to sleep when it was set going: the first page is looked at to have it asleep. */
static int begin(struct merging *g, bool anew)
{
	g->began = now_ns();
	return ksm_begin(&g->ksm, anew) ?: step(g, KSM_ONE_PAGE);
}

static int run_passes(struct merging *g)
{
	int looked, err = begin(g, false);

	while (!err && !is_done(g->r, g->m) && now_ns() - g->began < MERGE_NS)
		err = pass(g);
	looked = err == -EPERM ? err : outsiders_refuse(g->outsiders);
	return take_apart_outsiders(g) ?: err ?: looked;
}

/* One in the list who has no mergeable memory leaves it when ksmd comes by; until then he may have some, without being seen. */
static int sweep(struct merging *g)
{
	int err = begin(g, true);

	while (!err && !g->m->after.full_scans && now_ns() - g->began < MERGE_NS)
		err = stopped ? -EINTR : step_and_rest(g);
	return err;
}

/* Whoever ends us has to wait only here, until the settings of KSM are put back. */
static int with_ksm(struct merging *g, int (*run)(struct merging *g))
{
	const struct sigaction term = { .sa_handler = on_term };
	struct sigaction former;
	int undone, err;

	sigaction(SIGTERM, &term, &former);
	err = run(g);
	undone = ksm_undo(g->ksm.run_dir);
	sigaction(SIGTERM, &former, NULL);
	return err ?: undone;
}

/* Nothing that is merged gets lost by a sweep: nobody else has any, and of the domain there is none. */
static int refuse_or_sweep(struct merging *g)
{
	bool found;
	int err = outsiders_look(g->outsiders, &found);

	if (!err && found && !g->r->sums.merged && !outsiders_have_mergeable(g->outsiders))
		err = with_ksm(g, sweep);
	return err ?: found ? outsiders_refuse(g->outsiders) : 0;
}

static int tell_and_merge(struct merging *g, struct dedup_round *r, bool leave_huge)
{
	int err = refuse_or_sweep(g);

	if (err)
		return err;
	if (leave_huge)
		leave(r, g->m);
	err = tell(r, g->m);
	ksm_count(&g->m->before);
	g->m->after = g->m->before;
	if (err || !g->m->hints)
		return err;
	err = with_ksm(g, run_passes);
	g->m->merged = merged_of(r);
	g->m->merge_ns = now_ns() - g->began;
	return err;
}

int dedup_merge(struct dedup_round *r, int run_dir, bool leave_huge, struct dedup_merged *ret)
{
	struct merging g = { .r = r, .m = ret };
	int err = ksm_open(&g.ksm, run_dir);

	*ret = (struct dedup_merged){};
	if (err)
		return err;
	err = outsiders_open(r, &g.outsiders) ?: tell_and_merge(&g, r, leave_huge);
	outsiders_close(g.outsiders);
	ksm_close(&g.ksm);
	return err;
}
