/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the room blkio: which rule of policy is for whom, and on which cgroup. For limits and latency targets. */
#ifndef NESTOR_BLKIO_RULES_H
#define NESTOR_BLKIO_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/blkio/policy.h"
#include "agent/who/who.h"

/* Of policy's blkio.limits the one that counts for @one on @device: the first that names both. NULL: none does. */
const struct blkio_limit *blkio_rules_first(const struct blkio_policy *p, const struct workload *one, const char *device);

/* Could a target lower those that use @device? */
bool blkio_rules_has_target(const struct blkio_policy *p, const char *device);

/* The cgroup of @one, below @mount, that limits can be set on. 0; or -errno with a sentence in @ret_why. */
int blkio_rules_path(const char *mount, const struct workload *one, char *ret_path, size_t size, char *ret_why,
		     size_t why_size);

#endif
