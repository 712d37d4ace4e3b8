// SPDX-License-Identifier: GPL-2.0
/* budget: 2, lane: free */
/* Whose turn it is on a device that tenants share: by turns, by weights, by fixed parts; over a clock that jumps. */
#include <math.h>

#include "agent/lib/util.h"
#include "gpu/sched/shares.h"
#include "tests/harness/tap.h"

#define TENANTS 3

struct run {
	double now, idle; /* seconds; the latter for which nobody had the device */
	double got[TENANTS];
	unsigned int turns[TENANTS];
};

/* For @seconds, tenants of @weights with slices of @slices each; who wants nothing has 0 slices. */
static struct run simulate(enum shares_rule rule, const double *weights, const double *slices, double seconds,
			   struct share shares[TENANTS])
{
	struct run r = { 0 };
	size_t last = TENANTS, i;
	double wait;

	for (i = 0; i < TENANTS; i++) {
		shares[i].weight = weights[i];
		shares[i].wants = slices[i] > 0;
	}
	while (r.now < seconds) {
		i = shares_pick(rule, shares, TENANTS, last, r.now, 0, &wait);
		if (i == TENANTS) {
			if (!(wait > 0))
				break;
			r.now += wait;
			r.idle += wait;
			continue;
		}
		r.now += slices[i];
		r.got[i] += slices[i];
		r.turns[i]++;
		shares[i].used += slices[i];
		last = i;
	}
	return r;
}

static bool near(double a, double b, double part)
{
	return fabs(a - b) <= part * b;
}

static void test_turns(void)
{
	struct share shares[TENANTS] = { 0 };
	struct run r = simulate(SHARES_BEST_EFFORT, (double[]){ 5, 1, 1 }, (double[]){ 0.001, 0.004, 0.001 }, 6, shares);

	ok(r.turns[0] - r.turns[1] <= 1 && r.turns[1] - r.turns[2] <= 1,
	   "shares: best effort: tenants have as many turns, whatever their slices take");
	r = simulate(SHARES_BEST_EFFORT, (double[]){ 1, 1, 1 }, (double[]){ 0, 0.004, 0 }, 1, shares);
	ok(r.idle == 0 && r.got[1] >= 1, "shares: best effort: a single tenant has the whole device");
	r = simulate(SHARES_BEST_EFFORT, (double[]){ 1, 1, 1 }, (double[]){ 0, 0, 0 }, 1, shares);
	ok(r.now == 0, "shares: best effort: no tenant is picked if none has a call");
}

static void test_weights(void)
{
	struct share shares[TENANTS] = { 0 };
	struct run r = simulate(SHARES_EQUAL, (double[]){ 5, 3, 2 }, (double[]){ 0.001, 0.02, 0.005 }, 10, shares);

	ok(near(r.got[0], 5, 0.02) && near(r.got[1], 3, 0.02) && near(r.got[2], 2, 0.02),
	   "shares: equal: weights 5:3:2 hold, whatever slices take: %.2f %.2f %.2f", r.got[0], r.got[1], r.got[2]);
	r = simulate(SHARES_EQUAL, (double[]){ 5, 3, 2 }, (double[]){ 0, 0.02, 0.005 }, 10, shares);
	ok(r.idle == 0 && near(r.got[1], 6, 0.02) && near(r.got[2], 4, 0.02),
	   "shares: equal: unused share goes to the others, 3:2");
	r = simulate(SHARES_EQUAL, (double[]){ 5, 3, 2 }, (double[]){ 0.01, 0.01, 0.01 }, 10, shares);
	ok(near(r.got[0], 5, 0.02), "shares: equal: a tenant that returns has its share and no arrears: %.2f of 10", r.got[0]);
}

static void test_parts(void)
{
	struct share shares[TENANTS] = { 0 };
	struct run r = simulate(SHARES_FIXED, (double[]){ 2, 1, 1 }, (double[]){ 0.005, 0.005, 0.005 }, 10, shares);

	ok(near(r.got[0], 5, 0.03) && near(r.got[1], 2.5, 0.03) && near(r.got[2], 2.5, 0.03),
	   "shares: fixed: tenants have 2:1:1 of all time: %.2f %.2f %.2f", r.got[0], r.got[1], r.got[2]);
	for (size_t i = 0; i < TENANTS; i++)
		shares[i] = (struct share){ 0 };
	r = simulate(SHARES_FIXED, (double[]){ 2, 1, 1 }, (double[]){ 0, 0.005, 0 }, 10, shares);
	ok(near(r.got[1], 2.5, 0.03) && near(r.idle, 7.5, 0.03), "shares: fixed: unused share stays unused: %.2f of 10 s",
	   r.got[1]);
	r = simulate(SHARES_FIXED, (double[]){ 2, 1, 1 }, (double[]){ 0, 0, 0 }, 1, shares);
	ok(r.now == 0, "shares: fixed: no tenant waits if none has a call");
}

int main(void)
{
	test_turns();
	test_weights();
	test_parts();
	return done_testing();
}
