/* SPDX-License-Identifier: GPL-2.0 */
/* What an agent answers, for people. */
#ifndef NESTOR_CTL_TABLE_H
#define NESTOR_CTL_TABLE_H

/* JSON as a table (an array of flat objects with the same keys) or as lines (an object); what is no JSON as it is. */
void ctl_print(const char *text);

#endif
