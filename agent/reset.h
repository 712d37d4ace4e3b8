/* SPDX-License-Identifier: GPL-2.0 */
/* nestorctl reset */
#ifndef NESTOR_RESET_H
#define NESTOR_RESET_H

#include "agent/ctl/noun.h"

/* An agent that answers forgets its counters; without one, those that a former one pinned go, and its limits are taken back. */
int ctl_reset(const struct ctl *c);

#endif
