// SPDX-License-Identifier: GPL-2.0
#include <math.h>

#include "gpu/sched/shares.h"

#define SAVED 0.1 /* s of its part that who had no work may make up for */

const char *const shares_rule_names[SHARES_RULES] = {
	[SHARES_BEST_EFFORT] = "best-effort",
	[SHARES_EQUAL] = "equal",
	[SHARES_FIXED] = "fixed",
	[SHARES_DEADLINE] = "deadline",
};

static double weights(const struct share *shares, size_t n)
{
	double all = 0;

	for (size_t i = 0; i < n; i++)
		all += shares[i].weight;
	return all;
}

static size_t by_turns(const struct share *shares, size_t n, size_t last)
{
	for (size_t i = 1; i <= n; i++)
		if (shares[(last + i) % n].wants)
			return (last + i) % n;
	return n;
}

/*
 * Start-time fair queueing (Goyal, Vin and Cheng, 1996): the least virtual time is next; who comes back does not have what it
 * did not use meanwhile.
 */
static size_t by_weight(struct share *shares, size_t n)
{
	double floor = INFINITY;
	size_t best = n;

	for (size_t i = 0; i < n; i++)
		if (shares[i].wants && shares[i].had)
			floor = fmin(floor, shares[i].used / shares[i].weight);
	for (size_t i = 0; i < n; i++) {
		struct share *s = &shares[i];

		if (s->wants && !s->had && isfinite(floor))
			s->used = fmax(s->used, floor * s->weight);
		s->had = s->wants;
		if (s->wants && (best == n || s->used / s->weight < shares[best].used / shares[best].weight))
			best = i;
	}
	return best;
}

/* Who is furthest behind its part of the time that has gone. */
static size_t by_part(struct share *shares, size_t n, double elapsed, double *ret_wait)
{
	double all = weights(shares, n), most = 0;
	size_t best = n;

	*ret_wait = 0;
	for (size_t i = 0; i < n; i++) {
		struct share *s = &shares[i];
		double part = s->weight / all, behind = part * elapsed - s->used;

		if (behind > SAVED) {
			s->used = part * elapsed - SAVED;
			behind = SAVED;
		}
		if (!s->wants)
			continue;
		if (behind < 0) {
			*ret_wait = *ret_wait > 0 ? fmin(*ret_wait, -behind / part) : -behind / part;
			continue;
		}
		if (best == n || behind > most) {
			best = i;
			most = behind;
		}
	}
	return best;
}

size_t shares_pick(enum shares_rule rule, struct share *shares, size_t n, size_t last, double now, double since,
		   double *ret_wait)
{
	*ret_wait = 0;
	if (!n)
		return n;
	switch (rule) {
	case SHARES_BEST_EFFORT:
		return by_turns(shares, n, last < n ? last : n - 1);
	case SHARES_EQUAL:
		return by_weight(shares, n);
	default:
		return by_part(shares, n, now - since, ret_wait);
	}
}
