/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_SANDBOX_H
#define NESTOR_SANDBOX_H

/*
 * Gives up everything: another user (@name, else nobody), no capability, an empty root directory, no new
 * privileges, and only the system calls that serving open descriptors takes. Then tries what must fail
 * now. @parent_fd: as child_follow_parent() has it. 0, or -errno, logged; the caller must exit then.
 */
int sandbox_enter(const char *name, const char *empty_dir, int parent_fd);

#endif
