// SPDX-License-Identifier: GPL-2.0
/* Calls: admitting them, parting them among devices, and following them to their ends. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/gpufn/broker.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "gpu/sched/split.h"

#define SOFT_FACTOR 4 /* a slice that takes so many times what was expected, ... */
#define SOFT_SECONDS 0.05 /* ... and that, is not waited for */
#define COMPILE_SECONDS 60
#define TICK_NS (20ULL * 1000000)

static const char *const end_names[] = {
	[CALL_RUNS] = "runs",	    [CALL_DONE] = "done",     [CALL_LATE] = "late",
	[CALL_DROPPED] = "dropped", [CALL_FAILED] = "failed", [CALL_CANCELLED] = "cancelled",
};

const char *call_state(const struct call *c)
{
	bool compiles = c->end == CALL_RUNS;

	for (unsigned int i = 0; i < c->nr_parts; i++)
		compiles &= !c->parts[i].compiled;
	return compiles ? "compiles" : end_names[c->end];
}

__u64 call_bytes(const struct fn_call *fn)
{
	return fn->device_bytes + fn->input_bytes + fn->output_bytes;
}

/* ---- which devices ---- */

struct plan {
	double work[PARTS_MAX]; /* of each device, in groups times their cost */
	double end; /* seconds from now */
	bool known; /* how long it takes */
};

static bool has_memory(const struct device *d, const struct fn_call *fn)
{
	return fn->device_bytes <= d->info.memory && d->memory_used <= d->info.memory - fn->device_bytes;
}

/* One that has not shown yet how long this takes there, and has nothing else to do: somebody has to be the first. */
static bool try_out(struct broker *b, const struct fn_call *fn, struct plan *plan)
{
	for (unsigned int i = 0; i < b->nr_devices; i++) {
		struct device *d = &b->devices[i];

		if (!has_memory(d, fn) || device_knows(d, fn) || d->running.part)
			continue;
		plan->work[i] = (double)fn->all_groups * (double)fn->cost;
		plan->end = 0;
		plan->known = false;
		return true;
	}
	return false;
}

static double moved_bytes(const struct fn_call *fn)
{
	return (double)(fn->input_bytes + fn->output_bytes);
}

static void describe(struct device *d, const struct fn_call *fn, double wait, struct split_device *ret)
{
	__u64 least = d->info.units > fn->unit ? d->info.units : fn->unit;

	ret->ready = wait;
	ret->fixed = d->launch + d->handling + moved_bytes(fn) / d->transfer;
	ret->speed = (double)fn->cost / device_group_seconds(d, fn) * device_capacity(d, now_s());
	ret->least = (double)(least * fn->cost);
}

/* False: no device has memory for it. */
static bool make_plan(struct broker *b, struct tenant *t, const struct fn_call *fn, double deadline, unsigned int priority,
		      struct plan *plan)
{
	struct split_device devices[PARTS_MAX];
	double parts[PARTS_MAX], load = 0, now = now_s();
	unsigned int which[PARTS_MAX], n = 0;

	*plan = (struct plan){ .known = true };
	for (unsigned int i = 0; i < b->nr_devices; i++) {
		struct device *d = &b->devices[i];

		if (!has_memory(d, fn))
			continue;
		describe(d, fn, device_wait(d, t, priority, now, now + deadline), &devices[n]);
		load += d->load * exp(-(now - d->load_at) / 5);
		which[n++] = i;
	}
	if (!n)
		return false;
	if (try_out(b, fn, plan))
		return true;
	plan->end = split_work(devices, n, 0, (double)fn->all_groups * (double)fn->cost, fn->partable, load / n, parts);
	for (unsigned int i = 0; i < n; i++)
		plan->work[which[i]] = parts[i];
	for (unsigned int i = 0; i < n; i++)
		plan->known &= parts[i] <= 0 || device_knows(&b->devices[which[i]], fn);
	return true;
}

/* ---- beginning ---- */

static int open_part(struct call *c, struct device *d, __u64 first, __u64 groups)
{
	struct part *p = &c->parts[c->nr_parts];
	struct gpufn_order o = { .op = GPUFN_COMPILE, .call = ++c->broker->last_part, .hash = c->fn.f->hash };
	struct executor *e = executor_get(c->broker, c->tenant, d);
	int err;

	if (!e)
		return -EAGAIN;
	*p = (struct part){ .call = c, .device = d, .executor = e, .nr = o.call, .first = first, .groups = groups };
	p->since = now_s();
	snprintf(o.function, sizeof(o.function), "%s", c->function);
	memcpy(o.values, c->values, sizeof(o.values));
	p->compiled = executor_has_compiled(e, o.hash);
	err = p->compiled ? 0 : executor_order(e, &o, -1);
	o.op = GPUFN_OPEN;
	err = err ?: executor_order(e, &o, c->data);
	if (err)
		return err;
	LIST_INSERT_HEAD(&e->parts, p, of_executor);
	d->memory_used += c->fn.device_bytes;
	c->nr_parts++;
	c->parts_left++;
	return 0;
}

/* In multiples of the function's unit; the last device has the rest. */
static int open_parts(struct call *c, const struct plan *plan)
{
	struct broker *b = c->broker;
	__u64 first = 0, all = c->fn.all_groups, unit = c->fn.partable ? c->fn.unit : all;
	double work = 0;
	int err = 0;

	for (unsigned int i = 0; i < b->nr_devices && first < all && !err; i++) {
		__u64 end;

		if (plan->work[i] <= 0)
			continue;
		work += plan->work[i];
		end = (__u64)(work / (double)(c->fn.cost * unit) + 0.5) * unit;
		end = end > all || work >= (double)(all * c->fn.cost) * (1 - 1e-9) ? all : end;
		if (end > first)
			err = open_part(c, &b->devices[i], first, end - first);
		first = end;
	}
	return err;
}

static void free_call(struct call *c)
{
	TAILQ_REMOVE(&c->broker->calls, c, entry);
	tenant_give_memory(c->broker, c->tenant, call_bytes(&c->fn));
	close(c->data);
	free(c);
}

enum call_refusal call_room(struct broker *b, struct tenant *t, __u64 bytes)
{
	__u64 most = b->enforce ? b->memory : b->memory / 2; /* without limits of their own, none takes all from the others */

	if (b->enforce && t->memory_used + bytes > t->memory) {
		t->counts.refused_memory++;
		return CALL_TOO_LARGE;
	}
	if (b->memory_used + bytes <= b->memory && t->memory_used + bytes <= most)
		return CALL_TAKEN;
	t->counts.refused_ceiling++;
	return bytes > most ? CALL_NEVER : CALL_NO_ROOM;
}

static enum call_refusal admit(struct broker *b, struct tenant *t, const struct fn_call *fn)
{
	bool many = t->nr_calls >= t->queue;

	t->counts.refused_queue += many;
	if (many && b->enforce)
		return CALL_TOO_MANY;
	/* In mode monitor just counted: what enforce would have refused. */
	t->counts.refused_memory += !b->enforce && !many && t->memory_used + call_bytes(fn) > t->memory;
	return call_room(b, t, call_bytes(fn));
}

static enum call_refusal begin(struct broker *b, struct tenant *t, const struct fn_call *fn, const char *values, int data,
			       double deadline, unsigned int priority, const struct plan *plan, struct call **ret)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		close(data);
		return CALL_NO_MEMORY;
	}
	*c = (struct call){ .id = ++b->last_call, .broker = b, .tenant = t, .fn = *fn, .data = data, .priority = priority };
	snprintf(c->function, sizeof(c->function), "%s", fn->f->name);
	snprintf(c->values, sizeof(c->values), "%s", values);
	c->arrived = now_s();
	c->deadline = c->arrived + deadline;
	TAILQ_INSERT_TAIL(&b->calls, c, entry);
	tenant_take_memory(b, t, call_bytes(fn));
	t->nr_calls++;
	t->counts.calls++;
	if (open_parts(c, plan)) {
		call_finish(c, CALL_FAILED, "no executor can be started");
		free_call(c);
		return CALL_NO_DEVICE;
	}
	loop_timer_rearm(b->tick.fd, TICK_NS, TICK_NS);
	*ret = c;
	return CALL_TAKEN;
}

enum call_refusal call_begin(struct broker *b, struct tenant *t, const struct fn_call *fn, const char *values, int data,
			     double deadline, unsigned int priority, struct call **ret, double *ret_earliest)
{
	enum call_refusal refusal = admit(b, t, fn);
	struct plan plan;

	if (refusal == CALL_TAKEN && !make_plan(b, t, fn, deadline, priority, &plan))
		refusal = CALL_NO_DEVICE;
	if (refusal == CALL_TAKEN && plan.known && plan.end > deadline) {
		t->counts.refused_early++;
		*ret_earliest = plan.end;
		refusal = b->enforce ? CALL_TOO_LATE : CALL_TAKEN;
	}
	if (refusal == CALL_TAKEN)
		return begin(b, t, fn, values, data, deadline, priority, &plan, ret);
	close(data);
	return refusal;
}

/* ---- ending ---- */

/* Nothing of it is run any more; what an executor has of it, it forgets when it gets to it. */
static void end_part(struct part *p)
{
	struct gpufn_order o = { .op = GPUFN_CLOSE, .call = p->nr };

	device_remove(p);
	if (!p->executor)
		return;
	LIST_REMOVE(p, of_executor);
	p->device->memory_used -= p->call->fn.device_bytes;
	(void)executor_order(p->executor, &o, -1); /* of one that is dying there is nothing to forget */
	p->executor = NULL;
}

/* The bucket of bpf/hist.h. */
static unsigned int slot_of(double us)
{
	double bound = 1;
	unsigned int i = 0;

	for (; i < HIST_BOUNDS && us > bound; i++)
		bound *= 2;
	return i;
}

static void note_lateness(struct broker *b, const struct call *c)
{
	double late = fmax(0, c->ended - c->deadline);

	if (!isfinite(c->deadline) || (c->end != CALL_DONE && c->end != CALL_LATE))
		return;
	b->lateness.slots[slot_of(late * 1e6)]++;
	b->lateness_ns += (__u64)(late * 1e9);
}

static void count_end(struct call *c)
{
	struct tenant_counts *n = &c->tenant->counts;

	n->done += c->end == CALL_DONE;
	n->late += c->end == CALL_LATE;
	n->dropped += c->end == CALL_DROPPED;
	n->failed += c->end == CALL_FAILED;
	n->cancelled += c->end == CALL_CANCELLED;
	n->wasted_seconds += c->end == CALL_DONE ? 0 : c->device_seconds;
	note_lateness(c->broker, c);
}

void call_finish(struct call *c, enum call_end end, const char *why)
{
	if (c->end != CALL_RUNS)
		return;
	c->end = end;
	c->ended = now_s();
	snprintf(c->why, sizeof(c->why), "%s", why ?: "");
	for (unsigned int i = 0; i < c->nr_parts; i++)
		end_part(&c->parts[i]);
	c->fn.f = NULL;
	c->tenant->nr_calls--;
	count_end(c);
	if (c->done)
		c->done(c);
}

void call_free(struct call *c)
{
	call_finish(c, CALL_CANCELLED, "nobody waits for it");
	free_call(c);
}

/* ---- what executors say ---- */

static void on_compiled(struct executor *e, struct part *p, const struct gpufn_report *r)
{
	double seconds = (double)r->ns / 1e9;

	executor_note_compiled(e, p->call->fn.f->hash);
	p->compiled = true;
	p->since = now_s();
	p->call->compile_seconds += seconds;
	p->call->tenant->counts.compile_seconds += seconds;
}

static void on_opened(struct part *p, const struct gpufn_report *r)
{
	struct device *d = p->device;

	if (r->ns && p->call->fn.input_bytes > 1024 * 1024)
		d->transfer = 0.8 * d->transfer + 0.2 * (double)p->call->fn.input_bytes * 1e9 / (double)r->ns;
	p->there = true;
	p->moving = now_s() - p->since;
	if (device_add(p))
		call_finish(p->call, CALL_FAILED, "the broker is out of memory");
	device_next(d);
}

static void on_ran(struct part *p, const struct gpufn_report *r)
{
	struct gpufn_order o = { .op = GPUFN_READ, .call = p->nr, .first = p->first };
	struct device *d = p->device;

	device_slice_done(p, r);
	if (p->ran == p->groups && p->executor) {
		o.groups = p->call->nr_parts > 1 ? p->groups : 0;
		p->since = now_s();
		if (executor_order(p->executor, &o, -1))
			call_finish(p->call, CALL_FAILED, "its executor does not take orders");
	}
	device_next(d);
}

static void on_read(struct part *p)
{
	struct call *c = p->call;

	p->moving += now_s() - p->since;
	device_note_handling(p->device, p->moving - moved_bytes(&c->fn) / p->device->transfer);
	end_part(p);
	if (!--c->parts_left)
		call_finish(c, now_s() > c->deadline ? CALL_LATE : CALL_DONE, NULL);
}

static void on_report(struct executor *e, const struct gpufn_report *r)
{
	struct device *d = e->device;
	struct part *p;

	if (r->op == GPUFN_RUN)
		e->astray = 0;
	LIST_FOREACH (p, &e->parts, of_executor)
		if (p->nr == r->call)
			break;
	if (!p) { /* it has ended meanwhile */
		device_next(d);
		return;
	}
	if (r->err) {
		p->call->stale = r->err == -ESTALE;
		call_finish(p->call, CALL_FAILED, r->text);
		device_next(d);
		return;
	}
	if (r->op == GPUFN_COMPILE)
		on_compiled(e, p, r);
	else if (r->op == GPUFN_OPEN)
		on_opened(p, r);
	else if (r->op == GPUFN_RUN)
		on_ran(p, r);
	else if (r->op == GPUFN_READ)
		on_read(p);
}

static void on_death(struct executor *e, const char *why)
{
	struct device *d = e->device;
	struct part *p;

	while ((p = LIST_FIRST(&e->parts)) != NULL) {
		LIST_REMOVE(p, of_executor);
		p->device->memory_used -= p->call->fn.device_bytes;
		p->executor = NULL;
		if (p->astray)
			device_charge(p, now_s() - p->astray_at);
		call_finish(p->call, CALL_FAILED, why);
	}
	device_next(d);
}

const struct executor_ops call_executor_ops = { .on_report = on_report, .on_death = on_death };

void call_given_up(struct part *p, bool late, const char *why)
{
	call_finish(p->call, late ? CALL_DROPPED : CALL_FAILED, why);
}

/* ---- limits ---- */

static void check_slice(struct device *d, double now)
{
	const struct running *r = &d->running;

	if (r->part && device_knows(d, &r->part->call->fn) && now - r->began > SOFT_FACTOR * r->expected + SOFT_SECONDS)
		device_let_go(d);
}

/* Seconds for what an executor is at, and what that is: it does its orders one after the other. */
static double limit_of(const struct broker *b, const struct executor *e, const char **ret_what)
{
	switch (owed_next(&e->owed)) {
	case GPUFN_READY:
		*ret_what = "opening the device";
		return COMPILE_SECONDS;
	case GPUFN_COMPILE:
		*ret_what = "compiling";
		return COMPILE_SECONDS;
	case GPUFN_OPEN:
		*ret_what = "copying inputs";
		return COMPILE_SECONDS;
	default:
		*ret_what = "it";
		return b->slice_limit;
	}
}

/* False: it is dead, and so may others be. */
static bool check_executor(struct broker *b, struct executor *e, double now)
{
	const char *what;
	double limit = limit_of(b, e, &what), since = e->astray ?: e->busy_since;
	char why[80];

	if (!executor_is_mute(e, now) && (!e->owed.nr || now - since <= limit))
		return true;
	snprintf(why, sizeof(why), "%s did not end within %g s", what, limit);
	b->executors_killed++;
	device_unlearn(e->device, e);
	executor_kill(e, why);
	return false;
}

void call_check_limits(struct broker *b)
{
	double now = now_s();
	struct executor *e;
	bool owed = false;

	for (unsigned int i = 0; i < b->nr_devices; i++)
		check_slice(&b->devices[i], now);
	LIST_FOREACH (e, &b->executors, entry) {
		owed |= e->owed.nr > 0;
		if (!check_executor(b, e, now))
			return; /* the others at the next tick */
	}
	if (!owed && TAILQ_EMPTY(&b->calls))
		loop_timer_rearm(b->tick.fd, 0, 0);
}
