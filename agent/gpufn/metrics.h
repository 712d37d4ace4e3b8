/* SPDX-License-Identifier: GPL-2.0 */
/* Metrics of the room gpufn, from what its broker tells. */
#ifndef NESTOR_GPUFN_METRICS_H
#define NESTOR_GPUFN_METRICS_H

#include <jansson.h>

struct history;
struct metrics;

/* @state: NULL before the broker has told anything. @restarts: of the broker. */
void gpufn_stats_collect(const json_t *state, unsigned int restarts, struct metrics *m);

/* Calls in time and not, for the page: of tenants that are containers, and of the machine. */
void gpufn_stats_sample(const json_t *state, struct history *h);

#endif
