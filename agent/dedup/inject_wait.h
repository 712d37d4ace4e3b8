/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls that wait. A stop interrupts them; they are begun anew afterwards. The kernel remembers how much time most have
 * left. It does not for some, such as epoll_wait(): one of these is only begun anew if it has no time limit, or had just begun.
 * Otherwise it fails with EINTR, as after any stop: see signal(7).
 */
#ifndef NESTOR_DEDUP_INJECT_WAIT_H
#define NESTOR_DEDUP_INJECT_WAIT_H

#include <stdbool.h>
#include <sys/user.h>

#define INJECT_MOMENT_NS 250000000 /* at most, until a call has just begun */

/*
 * Waits until whatever system call the thread of directory @proc is stopped in from now on has just begun, or has no limit that
 * the kernel forgets. @restarted: the last stop had such a call begin anew; it is let end first. False: there
 * was no such moment.
 */
bool inject_wait_moment(int proc, bool restarted);

/*
 * Sets @r, of a thread that was stopped without a signal, such that it begins its system call anew, if it is in one. This is
 * what the kernel does in arch_do_signal_or_restart(). @fresh: a call with a time limit had just begun. Returns whether one of
 * those begins anew.
 */
bool inject_wait_restart(struct user_regs_struct *r, bool fresh);

#endif
