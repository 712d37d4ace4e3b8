// SPDX-License-Identifier: GPL-2.0
/* A device of the broker: whose turn it is there, which slice, and what slices tell. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gpufn/broker.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define LAUNCH 50e-6 /* s; until an executor has measured it */
#define TRANSFER 4e9 /* bytes a second, until a call has shown it */
#define GUESS 1e-6 /* s a group, until a slice has shown it */
#define FIXED 0.01 /* s of a slice, for the rules that have such */
#define LONGEST 0.1 /* s of a slice: whoever comes waits for it */
#define FALLS 0.2 /* how fast a profile follows a faster slice: those are undisturbed */
#define RISES 0.002 /* and a slower one: others may use the device for long */
#define HANDLING 0.0005 /* s; until parts have shown it */
#define HANDLING_STEP 1.1 /* up or down with each part: so it follows their median, and one that was compiled is no matter */
#define HANDLING_MIN 20e-6
#define CAPACITY_SECONDS 30 /* after its last slice nobody knows any more what a device has left */
#define LOAD_SECONDS 5.0 /* over which load is averaged */

/* ---- profiles ---- */

static void forget_profile(struct profile *p)
{
	p->beta = 0;
	p->seen = 0;
}

/* What is known of another source under that name is forgotten. */
static struct profile *device_profile(struct device *d, const char *function, __u64 source)
{
	struct profile *p;

	LIST_FOREACH (p, &d->profiles, entry)
		if (!strcmp(p->function, function))
			break;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		snprintf(p->function, sizeof(p->function), "%s", function);
		LIST_INSERT_HEAD(&d->profiles, p, entry);
	}
	if (p->source != source) {
		p->source = source;
		forget_profile(p);
	}
	return p;
}

void device_take_profile(struct device *d, const char *function, __u64 source, double seconds, __u64 slices)
{
	struct profile *p = device_profile(d, function, source);

	if (!p || p->seen)
		return;
	p->beta = seconds;
	p->seen = slices;
}

static const struct profile *profile_of(struct device *d, const struct fn_call *fn)
{
	return device_profile(d, fn->f->name, fn->f->hash);
}

double device_group_seconds(struct device *d, const struct fn_call *fn)
{
	const struct profile *known = profile_of(d, fn);

	return (known && known->beta > 0 ? known->beta : GUESS) * (double)fn->cost;
}

bool device_knows(struct device *d, const struct fn_call *fn)
{
	const struct profile *known = profile_of(d, fn);

	return known && known->seen;
}

/* What disturbs a slice makes it longer, never shorter: so the profile is near the fastest ones. */
static void learn(struct device *d, const struct part *p, __u64 groups, __u64 ns)
{
	struct profile *known = device_profile(d, p->call->function, p->call->fn.f->hash);
	double beta = (double)ns / 1e9 / (double)groups / (double)p->call->fn.cost;

	if (!known || !ns)
		return;
	if (known->seen++)
		known->beta += (beta < known->beta ? FALLS : RISES) * (beta - known->beta);
	else
		known->beta = beta;
}

void device_unlearn(struct device *d, const struct executor *e)
{
	const struct part *p = d->running.part;
	struct profile *known = NULL;

	if (p && p->executor == e)
		known = device_profile(d, p->call->function, p->call->fn.f->hash);
	if (known)
		forget_profile(known);
}

void device_note_handling(struct device *d, double seconds)
{
	d->handling = fmax(HANDLING_MIN, seconds > d->handling ? d->handling * HANDLING_STEP : d->handling / HANDLING_STEP);
}

/* ---- lanes ---- */

/* The least that anybody has seen of late: all have the same device. */
double device_capacity(const struct device *d, double now)
{
	const struct lane *l;
	double least = 1;

	LIST_FOREACH (l, &d->lanes, entry)
		if (now - l->used_at < CAPACITY_SECONDS)
			least = fmin(least, sched_capacity(l->sched));
	return least;
}

static bool same_tenant(const struct broker *b, const struct lane *l, const struct tenant *t)
{
	return b->share == SHARES_DEADLINE ? !l->tenant : l->tenant == t;
}

/* By shares, all of a tenant's calls are in one lane: priorities are for who shares by deadlines. */
static unsigned int lane_priority(const struct device *d, unsigned int priority)
{
	return d->broker->share == SHARES_DEADLINE ? priority : 0;
}

static struct lane *find_lane(const struct device *d, const struct tenant *t, unsigned int priority)
{
	struct lane *l;

	LIST_FOREACH (l, &d->lanes, entry)
		if (l->priority == lane_priority(d, priority) && same_tenant(d->broker, l, t))
			return l;
	return NULL;
}

static struct lane *get_lane(struct device *d, struct tenant *t, unsigned int priority)
{
	struct lane *l = find_lane(d, t, priority);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->tenant = d->broker->share == SHARES_DEADLINE ? NULL : t;
	l->priority = lane_priority(d, priority);
	l->sched = sched_new(d->broker->rule, d->launch ?: LAUNCH, FIXED);
	if (!l->sched) {
		free(l);
		return NULL;
	}
	LIST_INSERT_HEAD(&d->lanes, l, entry);
	return l;
}

static void free_lane(struct device *d, struct lane *l)
{
	if (d->last == l)
		d->last = NULL;
	LIST_REMOVE(l, entry);
	sched_free(l->sched);
	free(l);
}

int device_add(struct part *p)
{
	struct device *d = p->device;
	struct lane *l = get_lane(d, p->call->tenant, p->call->priority);

	if (!l)
		return -ENOMEM;
	p->task = (struct sched_task){
		.arrival = p->call->arrived,
		.deadline = p->call->deadline,
		.work = (double)(p->groups - p->ran) * device_group_seconds(d, &p->call->fn),
		.wave = (double)d->info.units * device_group_seconds(d, &p->call->fn),
		.data = p,
	};
	if (sched_add(l->sched, &p->task))
		return -ENOMEM;
	p->lane = l;
	p->queued = true;
	return 0;
}

static void take_out(struct part *p)
{
	struct device *d = p->device;

	if (d->running.part == p)
		d->running.part = NULL;
	if (p->queued)
		sched_remove(p->lane->sched, &p->task);
	p->queued = false;
	p->lane = NULL;
}

/* By deadlines: what is before it, and all of a higher priority. */
static double wait_in_line(const struct device *d, unsigned int priority, double now, double deadline)
{
	const struct lane *l;
	double wait = 0;

	LIST_FOREACH (l, &d->lanes, entry) {
		if (l->priority == priority)
			wait += sched_earliest(l->sched, now, 0, deadline) - now;
		else if (l->priority > priority)
			wait += sched_backlog(l->sched);
	}
	return wait;
}

/* By shares: the tenant's own, at its part of the device, but no longer than until all of others is done. */
static double wait_for_share(const struct device *d, const struct tenant *t, double now, double deadline)
{
	double own = 0, others = 0, weights = t->weight;
	const struct lane *l;

	LIST_FOREACH (l, &d->lanes, entry) {
		double backlog = sched_backlog(l->sched);

		if (l->tenant == t) {
			own = sched_earliest(l->sched, now, 0, deadline) - now;
		} else if (backlog > 0 || d->broker->share == SHARES_FIXED) {
			others += backlog;
			weights += d->broker->share == SHARES_BEST_EFFORT ? t->weight : l->tenant->weight;
		}
	}
	return d->broker->share == SHARES_FIXED ? own * weights / t->weight : fmin(own * weights / t->weight, own + others);
}

double device_wait(const struct device *d, const struct tenant *t, unsigned int priority, double now, double deadline)
{
	double running = d->running.part ? fmax(0, d->running.began + d->running.expected - now) : 0;

	return running + (d->broker->share == SHARES_DEADLINE ? wait_in_line(d, priority, now, deadline)
							      : wait_for_share(d, t, now, deadline));
}

/* ---- whose turn it is ---- */

static void drop(struct lane *l)
{
	struct sched_task *t;

	while ((t = sched_dropped(l->sched)) != NULL) {
		struct part *p = t->data;

		p->queued = false;
		p->device->given_up(p, true, "it cannot be done by its deadline any more");
	}
}

/* Of one lane; false: it has nothing to do. */
static bool choose(struct lane *l, double now, struct sched_slice *ret)
{
	bool some = sched_next(l->sched, now, ret);

	drop(l);
	return some;
}

/* The lane of the tenant whose turn it is by shares; NULL: nobody's, or not yet. */
static struct lane *choose_tenant(struct device *d, double now)
{
	struct lane *all[GPUFN_TENANTS_MAX], *l;
	struct share shares[GPUFN_TENANTS_MAX];
	size_t n = 0, last, chosen;
	double wait;

	LIST_FOREACH (l, &d->lanes, entry) {
		if (n == ARRAY_SIZE(all))
			break;
		l->share.weight = l->tenant->weight;
		l->share.wants = sched_backlog(l->sched) > 0;
		all[n++] = l;
	}
	for (last = 0; last < n && all[last] != d->last; last++)
		;
	for (size_t i = 0; i < n; i++)
		shares[i] = all[i]->share;
	chosen = shares_pick(d->broker->share, shares, n, last, now, d->since, &wait);
	for (size_t i = 0; i < n; i++)
		all[i]->share = shares[i];
	if (wait > 0)
		loop_timer_rearm(d->wake.fd, (__u64)(wait * 1e9) + 1000, 0);
	return chosen < n ? all[chosen] : NULL;
}

static bool choose_slice(struct device *d, double now, struct lane **ret, struct sched_slice *slice)
{
	if (d->broker->share != SHARES_DEADLINE) {
		/* If all that it had was hopeless and is dropped now, it wants nothing any more, and another one's turn it is.
		 */
		while ((*ret = choose_tenant(d, now)) != NULL)
			if (choose(*ret, now, slice))
				return true;
		return false;
	}
	for (unsigned int priority = GPUFN_PRIORITIES; priority--;) {
		*ret = find_lane(d, NULL, priority);
		if (*ret && choose(*ret, now, slice))
			return true;
	}
	return false;
}

/* ---- slices ---- */

/* Groups of the kernel that is next, as many as the slice has time for. */
static __u64 groups_of(struct device *d, const struct part *p, struct sched_slice *slice, __u32 *ret_kernel, __u64 *ret_first)
{
	const struct fn_call *fn = &p->call->fn;
	__u64 at = p->first + p->next, left = p->groups - p->next, in_kernel, groups;
	double each = device_group_seconds(d, &p->call->fn);
	double seconds = d->broker->rule == RULE_ADAPTIVE ? fmin(slice->work, LONGEST) : slice->work;
	__u32 k = 0;

	while (at >= fn->groups[k])
		at -= fn->groups[k++];
	in_kernel = fn->groups[k] - at;
	groups = seconds < (double)left * each * (1 - 1e-9) ? (__u64)(seconds / each) : left;
	if (!device_knows(d, fn)) /* a look at it, before its time is known */
		groups = d->info.units;
	if (!fn->f->sliceable)
		groups = in_kernel;
	groups = groups < 1 ? 1 : groups > left ? left : groups;
	groups = groups > in_kernel ? in_kernel : groups;
	slice->work = (double)groups * each;
	*ret_kernel = k;
	*ret_first = at;
	return groups;
}

static void run(struct device *d, struct sched_slice *slice, double now)
{
	struct part *p = slice->task->data;
	struct gpufn_order o = { .op = GPUFN_RUN, .call = p->nr };
	struct executor *e = p->executor;
	int err;

	o.groups = groups_of(d, p, slice, &o.kernel, (__u64 *)&o.first);
	d->running = (struct running){ .part = p, .slice = *slice, .groups = o.groups, .began = now };
	d->running.expected = (d->launch ?: LAUNCH) + slice->work / sched_capacity(p->lane->sched);
	if (!d->since)
		d->since = now;
	err = executor_order(e, &o, -1);
	if (err)
		executor_kill(e, strerror(-err));
}

void device_next(struct device *d)
{
	struct sched_slice slice;
	struct lane *l;

	if (d->running.part || !choose_slice(d, now_s(), &l, &slice))
		return;
	d->last = l;
	run(d, &slice, now_s());
}

static void wake(struct source *s)
{
	loop_timer_drain(s->fd);
	device_next(s->data);
}

static void note_load(struct device *d, double now, double took)
{
	double weight = d->load_at ? exp(-(now - d->load_at) / LOAD_SECONDS) : 0;

	d->load = d->load * weight + took / LOAD_SECONDS;
	d->load_at = now;
}

static void note_slice(struct device *d, const struct part *p, double began, double took)
{
	struct slice_note *n = &d->notes[d->nr_notes++ % SLICE_NOTES];

	*n = (struct slice_note){ .began = began, .took = took, .call = p->call->id };
	snprintf(n->tenant, sizeof(n->tenant), "%s", p->call->tenant->name);
	snprintf(n->function, sizeof(n->function), "%s", p->call->function);
}

static void account(struct device *d, struct part *p, double took)
{
	struct tenant *t = p->call->tenant;
	double now = now_s();

	d->busy += took;
	d->slices++;
	note_load(d, now, took);
	note_slice(d, p, now - took, took);
	if (p->lane)
		p->lane->share.used += took;
	p->call->device_seconds += took;
	p->call->slices++;
	t->counts.device_seconds += took;
	t->counts.slices++;
}

void device_charge(struct part *p, double seconds)
{
	account(p->device, p, seconds);
}

/* What has run of its slice is its tenant's, though it came to nothing. */
void device_remove(struct part *p)
{
	const struct running *r = &p->device->running;

	if (r->part == p)
		account(p->device, p, now_s() - r->began);
	take_out(p);
}

/* The slice is done that others did not wait for. */
static void slice_is_back(struct part *p)
{
	p->next += p->astray;
	p->ran += p->astray;
	p->astray = 0;
	if (p->ran < p->groups && device_add(p))
		p->device->given_up(p, false, "the broker is out of memory");
}

void device_slice_done(struct part *p, const struct gpufn_report *r)
{
	struct device *d = p->device;
	double took = now_s() - d->running.began, each;
	struct sched_slice slice = d->running.slice;
	bool known = device_knows(d, &p->call->fn);

	if (p->astray) {
		account(d, p, (double)r->ns / 1e9);
		slice_is_back(p);
		return;
	}
	d->running.part = NULL;
	account(d, p, took);
	p->next += d->running.groups;
	p->ran += d->running.groups;
	learn(d, p, d->running.groups, r->ns);
	each = device_group_seconds(d, &p->call->fn);
	if (!known) /* what was only guessed says nothing of the capacity */
		slice.work = (double)d->running.groups * each;
	/* However the profile has changed: when the last group has run, nothing is left. */
	p->task.work = (double)(p->groups - p->ran) * each + (p->ran < p->groups ? slice.work : 0);
	p->lane->used_at = now_s();
	p->queued = !sched_done(p->lane->sched, &slice, took);
}

void device_let_go(struct device *d)
{
	struct part *p = d->running.part;

	p->executor->astray = p->astray_at = d->running.began;
	p->astray = d->running.groups;
	take_out(p);
	device_next(d);
}

/* ---- life ---- */

int device_init(struct broker *b, struct device *d, const struct gpu_info *info, unsigned int nr,
		void (*given_up)(struct part *p, bool late, const char *why))
{
	d->broker = b;
	d->info = *info;
	d->nr = nr;
	d->given_up = given_up;
	d->transfer = TRANSFER;
	d->handling = HANDLING;
	d->wake = (struct source){ .fd = loop_timer_open(0, 0), .ready = wake, .data = d };
	return d->wake.fd < 0 ? log_error(d->wake.fd, "cannot make a timer") : loop_add(&b->loop, &d->wake);
}

static void free_lanes(struct device *d)
{
	while (!LIST_EMPTY(&d->lanes))
		free_lane(d, LIST_FIRST(&d->lanes));
}

void device_forget(struct device *d, const struct tenant *t)
{
	struct lane *l, *next;

	for (l = LIST_FIRST(&d->lanes); l; l = next) {
		next = LIST_NEXT(l, entry);
		if (l->tenant == t)
			free_lane(d, l);
	}
}

void device_requeue(struct device *d)
{
	struct call *c, *next;

	free_lanes(d);
	for (c = TAILQ_FIRST(&d->broker->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		for (unsigned int i = 0; i < c->nr_parts; i++) {
			struct part *p = &c->parts[i];

			if (p->device != d || !p->queued)
				continue;
			p->queued = false;
			if (device_add(p))
				d->given_up(p, false, "the broker is out of memory");
		}
	}
}

void device_close(struct device *d)
{
	struct profile *p;

	free_lanes(d);
	while ((p = LIST_FIRST(&d->profiles)) != NULL) {
		LIST_REMOVE(p, entry);
		free(p);
	}
	if (d->wake.fd >= 0)
		loop_remove(&d->broker->loop, &d->wake);
}
