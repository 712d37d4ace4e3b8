/* SPDX-License-Identifier: GPL-2.0 */
/* Which program this is: make writes them to build/revision.c. */
#ifndef NESTOR_VERSION_H
#define NESTOR_VERSION_H

extern const char nestor_version[]; /* of the release */
extern const char nestor_revision[]; /* git's name of the commit; "-dirty" if files differed from it */

#endif
