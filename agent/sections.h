/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_SECTIONS_H
#define NESTOR_SECTIONS_H

struct policy_section;

/* All that a policy may have, in the order in which they are shown, ended by a NULL. */
extern const struct policy_section *const policy_sections[];

#endif
