/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_NOUNS_H
#define NESTOR_NOUNS_H

#include "agent/ctl/noun.h"

/* All nouns of nestorctl, the core's first; ended by NULL. Handed down by nestorctl.c alone. */
extern const struct ctl_noun *const nouns[];

#endif
