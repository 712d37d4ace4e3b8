/* SPDX-License-Identifier: GPL-2.0 */
/* nestorctl --help */
#ifndef NESTOR_CTL_USAGE_H
#define NESTOR_CTL_USAGE_H

#include "agent/ctl/noun.h"

void ctl_usage(const struct ctl *c);

#endif
