/* SPDX-License-Identifier: GPL-2.0 */
/* Which of many hashes are there more than once, found on a device: up to 12 bytes for each go over the bus. */
#ifndef NESTOR_KERNELS_DUPLICATES_H
#define NESTOR_KERNELS_DUPLICATES_H

#include "gpu/gpu.h"

struct doubles {
	uint32_t *numbers; /* of those that have an equal one, equal ones next to each other, the first one first; malloc()ed */
	uint32_t n;
	uint64_t device_ns; /* copies aside */
};

/*
 * Of @n hashes, 1 at least. The device needs 24 bytes for each. 0, or an error of gpu.h, then *@ret is empty; -ENOMEM may be of
 * this machine, too.
 */
int duplicates_find(struct gpu *g, const uint64_t *hashes, uint32_t n, struct doubles *ret);

/* Does the device find those that are known? 0 or an error of gpu.h. */
int duplicates_known_answer(struct gpu *g);

#endif
