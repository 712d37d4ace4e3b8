// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent/blkio/controller.h"
#include "agent/blkio/steer.h"

#define ENOUGH 100 /* I/Os of a guard that a percentile can be told from */
#define AGE_MAX 8 /* ticks: then fewer must do */
#define SETTLE 2 /* ticks, and those that p99 lasts: what waits in the disk's queue when others are lowered is still slow */
#define PATIENCE_MIN 2
#define PATIENCE_MAX 16
#define CAP_MIN (64 * 1024ULL) /* bytes per second that are left to everybody */

/* ---- latency ---- */

static __u64 count_from(const struct guard *g, unsigned int slot)
{
	__u64 n = 0;

	for (; slot < BLKIO_WATCH_SLOTS; slot++)
		n += g->window[slot];
	return n;
}

/* More than one of a hundred. A single slow one tells nothing while there are fewer. */
static bool is_exceeded(const struct guard *g)
{
	__u64 all = count_from(g, 0);

	return count_from(g, BLKIO_WATCH_STEPS) * 100 > (all > ENOUGH ? all : ENOUGH);
}

/* Within its slot the 99th percentile is taken to lie where an even spread would have it. */
static __u64 p99(const struct guard *g)
{
	__u64 all = count_from(g, 0), rank = all - all / 100, seen = 0;

	for (unsigned int i = 0; all && i < BLKIO_WATCH_SLOTS; i++) {
		__u64 n = g->window[i];

		if (n && seen + n >= rank)
			return (i * n + (i + 1 < BLKIO_WATCH_SLOTS ? rank - seen : 0)) * g->target_ns / BLKIO_WATCH_STEPS / n;
		seen += n;
	}
	return 0;
}

/* ---- throughput ---- */

void controller_measured(struct other *o, const __u64 bytes[2], __u64 now_ns)
{
	__u64 time = now_ns - o->measured_ns;

	for (unsigned int i = 0; i < 2; i++) {
		struct side *s = &o->side[i];

		if (o->measured_ns && time && bytes[i] >= s->bytes)
			s->rate = (s->rate + (bytes[i] - s->bytes) * 1000000000 / time) / 2;
		s->bytes = bytes[i];
	}
	o->measured_ns = now_ns;
}

static __u64 rate_of_all(const struct controller *c)
{
	const struct other *o;
	__u64 rate = 0;

	LIST_FOREACH (o, &c->others, entry)
		rate += o->side[0].rate + o->side[1].rate;
	return rate;
}

static bool is_lowered(const struct side *s)
{
	return s->cap != BLKIO_NO_CAP;
}

/* ---- verdicts ---- */

/* In eighths: what is left to others when the worst guard's p99 is that many eighths of its target. */
static unsigned int factor(unsigned int eighths)
{
	if (eighths >= 32)
		return 2;
	if (eighths >= 16)
		return 4;
	return eighths >= 10 ? 6 : 7;
}

/* Who does little is not the one that the guards wait for. */
static bool is_culprit(const struct side *s, __u64 rate_of_all)
{
	if (is_lowered(s))
		return s->rate >= s->cap / 2;
	return s->rate > CAP_MIN && s->rate >= rate_of_all / 32;
}

static void lower(struct side *s, unsigned int eighths)
{
	if (!is_lowered(s))
		s->cap = s->free = s->rate;
	s->cap = s->cap * eighths / 8;
	if (s->cap < CAP_MIN)
		s->cap = CAP_MIN;
}

/* The culprits; or if there is none, all that were lowered before. */
static unsigned long long lower_others(struct controller *c, unsigned int eighths)
{
	__u64 rate = rate_of_all(c);
	unsigned long long nr = 0;
	struct other *o;

	for (unsigned int all = 0; all < 2 && !nr; all++)
		LIST_FOREACH (o, &c->others, entry)
			for (unsigned int i = 0; i < 2; i++) {
				struct side *s = &o->side[i];
				bool pick = all ? is_lowered(s) : is_culprit(s, rate);

				if (!pick || (is_lowered(s) && s->cap == CAP_MIN))
					continue;
				lower(s, eighths);
				o->changed = true;
				nr++;
			}
	return nr;
}

static unsigned long long raise_others(struct controller *c)
{
	unsigned long long nr = 0;
	struct other *o;

	LIST_FOREACH (o, &c->others, entry)
		for (unsigned int i = 0; i < 2; i++) {
			struct side *s = &o->side[i];

			if (!is_lowered(s))
				continue;
			s->cap += s->cap / (c->patience > PATIENCE_MIN ? 8 : 4);
			if (s->cap >= s->free)
				s->cap = BLKIO_NO_CAP;
			o->changed = true;
			nr++;
		}
	return nr;
}

/* ---- windows ---- */

static void new_window(struct controller *c)
{
	struct guard *g;

	c->age = 0;
	LIST_FOREACH (g, &c->guards, entry)
		memset(g->window, 0, sizeof(g->window));
}

static bool is_over(const struct controller *c)
{
	const struct guard *g;
	bool enough = true;

	LIST_FOREACH (g, &c->guards, entry) {
		if (is_exceeded(g))
			return true;
		enough &= count_from(g, 0) >= ENOUGH;
	}
	return enough || c->age >= AGE_MAX;
}

/* A window that ended well. Patience grows when raising went wrong, so that it is tried ever less often. */
static void has_room(struct controller *c, bool idle, struct contest_counts *counts)
{
	unsigned long long nr;

	if (!c->patience)
		c->patience = PATIENCE_MIN;
	if (++c->good < c->patience && !idle)
		return;
	nr = raise_others(c);
	counts->raised += nr;
	c->raised = nr > 0;
	c->good = 0;
	if (!controller_lowered(c))
		c->patience = PATIENCE_MIN;
}

static void is_too_slow(struct controller *c, unsigned int eighths, __u64 p99_ns, struct contest_counts *counts)
{
	counts->lowered += lower_others(c, factor(eighths));
	c->good = 0;
	if (c->raised && c->patience < PATIENCE_MAX)
		c->patience *= 2;
	c->raised = false;
	c->settle = SETTLE + (unsigned int)(p99_ns / CONTEST_TICK_NS);
}

bool controller_tick(struct controller *c, bool enforce, struct contest_counts *counts)
{
	unsigned int eighths = 0;
	bool exceeded = false;
	__u64 slowest = 0;
	struct guard *g;
	struct other *o;

	if (c->settle) {
		c->settle--;
		new_window(c);
		return false;
	}
	c->age++;
	if (!is_over(c))
		return false;
	LIST_FOREACH (o, &c->others, entry)
		o->changed = false;
	LIST_FOREACH (g, &c->guards, entry) {
		unsigned int own;

		g->p99_ns = p99(g);
		own = (unsigned int)(g->p99_ns * 8 / g->target_ns);
		eighths = own > eighths ? own : eighths;
		slowest = g->p99_ns > slowest ? g->p99_ns : slowest;
		exceeded |= is_exceeded(g);
	}
	if (exceeded && !enforce)
		counts->monitored++;
	else if (exceeded)
		is_too_slow(c, eighths, slowest, counts);
	else if (eighths < 6)
		has_room(c, !eighths, counts);
	else
		c->good = 0;
	new_window(c);
	return true;
}

/* ---- the rest ---- */

void controller_adopt(struct other *o)
{
	for (unsigned int i = 0; i < 2; i++)
		if (is_lowered(&o->side[i]))
			o->side[i].free = o->side[i].cap * 8;
}

void controller_release(struct controller *c)
{
	struct other *o;

	LIST_FOREACH (o, &c->others, entry)
		o->side[0].cap = o->side[1].cap = BLKIO_NO_CAP;
}

unsigned int controller_lowered(const struct controller *c)
{
	const struct other *o;
	unsigned int nr = 0;

	LIST_FOREACH (o, &c->others, entry)
		nr += is_lowered(&o->side[0]) || is_lowered(&o->side[1]);
	return nr;
}
