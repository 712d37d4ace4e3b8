/* SPDX-License-Identifier: GPL-2.0 */
/* The section pulse of the policy. */
#ifndef NESTOR_PULSE_POLICY_H
#define NESTOR_PULSE_POLICY_H

#include <linux/types.h>

#include "agent/policy/policy.h"

struct pulse_policy {
	__u32 interval; /* seconds */
};

extern const struct policy_section policy_pulse;

#endif
