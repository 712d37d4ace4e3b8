// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/sched/sched.h"

#define GAIN 0.4 /* of the last slice, in the estimate of the capacity */
#define CAPACITY_MIN 0.01
#define SLACKS 64 /* of the last arrivals */
#define PRESSING 5 /* the smallest one in so many */
#define PART 0.5 /* of that, which a slice may take */
#define LAUNCHES 6 /* a slice is at least so many times the overhead */

const char *const sched_rule_names[SCHED_RULES] = {
	[RULE_FCFS] = "fcfs",
	[RULE_RR] = "rr",
	[RULE_EDF] = "edf",
	[RULE_EDF_LATE] = "edf-late",
	[RULE_EDF_FEASIBLE] = "edf-feasible",
	[RULE_EDF_FIXED] = "edf-fixed",
	[RULE_ADAPTIVE] = "adaptive",
};

struct entry {
	struct sched_task *task;
	bool aside;
};

struct sched {
	enum sched_rule rule;
	double overhead, fixed, capacity;
	struct entry *queue; /* in the order of the rule */
	size_t n, size;
	struct entry *dropped;
	size_t nr_dropped, dropped_size;
	double slacks[SLACKS], pressing;
	size_t nr_slacks;
};

struct sched *sched_new(enum sched_rule rule, double overhead, double fixed)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (s) {
		s->rule = rule;
		s->overhead = overhead;
		s->fixed = fixed;
		s->capacity = 1;
	}
	return s;
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	free(s->queue);
	free(s->dropped);
	free(s);
}

double sched_capacity(const struct sched *s)
{
	return s->capacity;
}

/* ---- how long those that come can wait ---- */

static int compare(const void *p, const void *q)
{
	double a = *(const double *)p, b = *(const double *)q;

	return (a > b) - (a < b);
}

static void note_slack(struct sched *s, double slack)
{
	double sorted[SLACKS];
	size_t n;

	s->slacks[s->nr_slacks++ % SLACKS] = slack;
	if (s->nr_slacks > SLACKS && s->nr_slacks % (SLACKS / 8)) /* it does not change much from one to the next */
		return;
	n = s->nr_slacks < SLACKS ? s->nr_slacks : SLACKS;
	memcpy(sorted, s->slacks, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	s->pressing = sorted[n / PRESSING];
}

/* ---- the queue ---- */

static bool goes_before(const struct sched *s, const struct sched_task *a, const struct sched_task *b)
{
	return s->rule == RULE_FCFS || s->rule == RULE_RR ? false : a->deadline < b->deadline;
}

/* @all with room for one more than @n; NULL: no memory, and it is as it was. */
static void *grow(void *all, size_t *size, size_t n, size_t each)
{
	size_t more = *size ? *size * 2 : 64;

	if (n < *size)
		return all;
	all = reallocarray(all, more, each);
	if (all)
		*size = more;
	return all;
}

/* Room for all to be dropped, too, so that this cannot fail later. */
static int make_room(struct sched *s)
{
	struct entry *queue = grow(s->queue, &s->size, s->n, sizeof(*queue));
	struct entry *dropped = grow(s->dropped, &s->dropped_size, s->n + s->nr_dropped, sizeof(*dropped));

	s->queue = queue ?: s->queue;
	s->dropped = dropped ?: s->dropped;
	return queue && dropped ? 0 : -ENOMEM;
}

int sched_add(struct sched *s, struct sched_task *task)
{
	size_t at = s->n;

	if (make_room(s))
		return -ENOMEM;
	while (at && goes_before(s, task, s->queue[at - 1].task))
		at--;
	memmove(&s->queue[at + 1], &s->queue[at], (s->n - at) * sizeof(*s->queue));
	s->queue[at] = (struct entry){ .task = task };
	s->n++;
	note_slack(s, task->deadline - task->arrival - task->work);
	return 0;
}

static void take_out(struct sched *s, size_t at)
{
	s->n--;
	memmove(&s->queue[at], &s->queue[at + 1], (s->n - at) * sizeof(*s->queue));
}

void sched_remove(struct sched *s, const struct sched_task *task)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->queue[i].task == task) {
			take_out(s, i);
			return;
		}
}

double sched_backlog(const struct sched *s)
{
	double all = 0;

	for (size_t i = 0; i < s->n; i++)
		all += s->queue[i].task->work;
	return all;
}

/* ---- dropping ---- */

/* When that task would be done, if nothing came in between. */
static double end_of(const struct sched *s, const struct sched_task *t, double now)
{
	switch (s->rule) {
	case RULE_EDF_LATE:
		return now;
	case RULE_EDF_FEASIBLE:
	case RULE_EDF_FIXED:
		return now + s->overhead + t->work / s->capacity;
	case RULE_ADAPTIVE: /* with luck: all of the device may be ours again */
		return now + s->overhead + t->work;
	default:
		return 0;
	}
}

static void drop_hopeless(struct sched *s, double now)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct sched_task *t = s->queue[i].task;

		if (end_of(s, t, now) > t->deadline)
			s->dropped[s->nr_dropped++] = s->queue[i];
		else
			s->queue[kept++] = s->queue[i];
	}
	s->n = kept;
}

struct sched_task *sched_dropped(struct sched *s)
{
	return s->nr_dropped ? s->dropped[--s->nr_dropped].task : NULL;
}

/* ---- choosing ---- */

/* Moore and Hodgson */
static void put_aside(struct sched *s, double now)
{
	double end = now;

	for (size_t i = 0; i < s->n; i++) {
		size_t largest = i;

		s->queue[i].aside = false;
		end += s->overhead + s->queue[i].task->work / s->capacity;
		if (end <= s->queue[i].task->deadline)
			continue;
		for (size_t j = 0; j < i; j++)
			if (!s->queue[j].aside && s->queue[j].task->work > s->queue[largest].task->work)
				largest = j;
		s->queue[largest].aside = true;
		end -= s->overhead + s->queue[largest].task->work / s->capacity;
	}
}

/* The first one that is chosen; else, of those put aside, that which lacks least. */
static struct sched_task *pick(const struct sched *s, double now)
{
	struct sched_task *best = s->queue[0].task;

	for (size_t i = 0; i < s->n; i++)
		if (!s->queue[i].aside)
			return s->queue[i].task;
	for (size_t i = 1; i < s->n; i++) {
		struct sched_task *t = s->queue[i].task;

		if (t->work / (t->deadline - now) < best->work / (best->deadline - now))
			best = t;
	}
	return best;
}

static double adaptive_size(const struct sched *s, const struct sched_task *t)
{
	double size = PART * s->pressing * s->capacity, least = LAUNCHES * s->overhead * s->capacity;

	if (least < t->wave)
		least = t->wave;
	if (size < least)
		size = least;
	return size + least > t->work ? t->work : size; /* no rest that is not worth a launch */
}

static double size_of(const struct sched *s, const struct sched_task *t)
{
	if (s->rule == RULE_ADAPTIVE)
		return adaptive_size(s, t);
	if ((s->rule == RULE_RR || s->rule == RULE_EDF_FIXED) && s->fixed < t->work)
		return s->fixed;
	return t->work;
}

bool sched_next(struct sched *s, double now, struct sched_slice *ret)
{
	drop_hopeless(s, now);
	if (!s->n)
		return false;
	if (s->rule == RULE_ADAPTIVE)
		put_aside(s, now);
	ret->task = s->rule == RULE_ADAPTIVE ? pick(s, now) : s->queue[0].task;
	ret->work = size_of(s, ret->task);
	return true;
}

/* ---- what a slice has shown ---- */

static void note_capacity(struct sched *s, double work, double took)
{
	double capacity = took > s->overhead ? work / (took - s->overhead) : 1;

	s->capacity = (1 - GAIN) * s->capacity + GAIN * (capacity < 1 ? capacity : 1);
	if (s->capacity < CAPACITY_MIN)
		s->capacity = CAPACITY_MIN;
}

bool sched_done(struct sched *s, const struct sched_slice *slice, double took)
{
	struct sched_task *t = slice->task;
	size_t at = 0;

	note_capacity(s, slice->work, took);
	t->done += slice->work;
	t->work -= slice->work;
	while (s->queue[at].task != t)
		at++;
	if (t->work <= 0) {
		take_out(s, at);
		return true;
	}
	if (s->rule == RULE_RR) {
		take_out(s, at);
		s->queue[s->n++] = (struct entry){ .task = t };
	}
	return false;
}

double sched_earliest(const struct sched *s, double now, double work, double deadline)
{
	double end = now + s->overhead + work / s->capacity;

	for (size_t i = 0; i < s->n; i++)
		if (!s->queue[i].aside && s->queue[i].task->deadline <= deadline)
			end += s->overhead + s->queue[i].task->work / s->capacity;
	return end;
}
