/* SPDX-License-Identifier: GPL-2.0 */
/* The section pcache of the policy. */
#ifndef NESTOR_PCACHE_POLICY_H
#define NESTOR_PCACHE_POLICY_H

#include "agent/policy/policy.h"

struct pcache_policy {
	enum policy_mode mode; /* never MODE_ENFORCE */
};

extern const struct policy_section policy_pcache;

#endif
