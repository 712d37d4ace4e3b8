/* SPDX-License-Identifier: GPL-2.0 */
/* What the service manager is told: the protocol of sd_notify(3). */
#ifndef NESTOR_NOTIFY_H
#define NESTOR_NOTIFY_H

/*
 * Sends one message, at most 127 bytes, such as "READY=1", to $NOTIFY_SOCKET if that is set. Never waits: a message that the
 * manager has no room for is lost.
 */
void notify_manager(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
