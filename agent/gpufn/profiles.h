/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long functions take on devices, as the broker has learnt it. The agent keeps it: brokers end, and what they have learnt
 * is of use to the next one, also after the agent's own end.
 *
 * A profile is {"device", "driver", "by", "by_nr", "function", "source", "group_nanoseconds", "slices"}: of which device, the
 * how manieth of its back end; of which function, and the hash of its description and source, in hexadecimal; what a group
 * takes for a cost of 1; from how many slices that is known. The file has a list of them, and so has `nestorctl --json gpufn
 * profile`.
 */
#ifndef NESTOR_GPUFN_PROFILES_H
#define NESTOR_GPUFN_PROFILES_H

#include <limits.h>
#include <stdbool.h>

#include <jansson.h>
#include <linux/types.h>

struct gpufn_profile {
	const char *device, *driver, *by, *function; /* of the object it was read from */
	int by_nr;
	__u64 source;
	double group_nanoseconds;
	__u64 slices;
};

json_t *gpufn_profile_json(const struct gpufn_profile *p);
/* False: it is none. */
bool gpufn_profile_read(json_t *from, struct gpufn_profile *ret);

struct gpufn_profiles {
	char path[PATH_MAX];
	json_t *all; /* by what they are of */
	bool changed;
	__u64 saved_at; /* ns of CLOCK_MONOTONIC */
};

/* What was kept in directory @cache, if anything; a file that is not understood is told of and not used. */
void gpufn_profiles_open(struct gpufn_profiles *p, const char *cache);
/* Of what the broker tells; once a minute it is saved. */
void gpufn_profiles_take(struct gpufn_profiles *p, const json_t *state);
/* All, as a new list. */
json_t *gpufn_profiles_list(const struct gpufn_profiles *p);
void gpufn_profiles_close(struct gpufn_profiles *p);

#endif
