/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which tenant's turn it is on a device that several have. Three are the ways of NVIDIA's vGPU schedulers. Pure code over a
 * clock of seconds that the caller has.
 */
#ifndef NESTOR_SCHED_SHARES_H
#define NESTOR_SCHED_SHARES_H

#include <stdbool.h>
#include <stddef.h>

enum shares_rule {
	SHARES_BEST_EFFORT, /* by turns among those that have work, whatever their turns take */
	SHARES_EQUAL, /* of those that have work each gets time by its weight; what one leaves the others have */
	SHARES_FIXED, /* each gets its part of all time, and never more; what one leaves nobody has */
	SHARES_DEADLINE, /* no shares: whose deadline is next, whoever that is. The caller's; shares_pick() is not asked */
	SHARES_RULES
};
extern const char *const shares_rule_names[SHARES_RULES];

struct share {
	double weight; /* above 0 */
	double used; /* seconds, here and below */
	bool wants; /* has work */
	bool had; /* had so when it was last looked at */
};

/*
 * Which of @n is next, at @now, @since the first one came; @last was the one before (@n: none). @n: nobody, and for FIXED
 * *@ret_wait tells after how long somebody may be (0: nobody wants).
 */
size_t shares_pick(enum shares_rule rule, struct share *shares, size_t n, size_t last, double now, double since,
		   double *ret_wait);

#endif
