/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nestorctl --complete WORDS…, for agent/ctl/nestorctl.bash: what the last word may become, a line for each; or just
 * ":file" or ":directory", if it is the name of one.
 */
#ifndef NESTOR_CTL_COMPLETE_H
#define NESTOR_CTL_COMPLETE_H

#include "agent/ctl/noun.h"

/* An exit status. @c has no noun yet. */
int ctl_complete(struct ctl *c, char *const *words, size_t nr);

#endif
