// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>

#include "agent/policy/agent.h"
#include "agent/rooms.h"
#include "agent/sections.h"

#define DECLARE(stem) extern const struct policy_section policy_##stem;
ROOMS(DECLARE)
#define ADDRESS(stem) &policy_##stem,
const struct policy_section *const policy_sections[] = { &policy_agent, ROOMS(ADDRESS) NULL };
