/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_GPUFN_CONFINE_H
#define NESTOR_GPUFN_CONFINE_H

/*
 * For a process that runs others' code, but needs a compiler and drivers for it: it may read what the system's programs and
 * devices are, @readable (may be NULL) and write below @writable only (by Landlock, where the kernel has that); it may not make
 * sockets, trace or signal others, or get privileges. What it starts is bound by the same. Then tries what must fail now.
 * 0, or -errno, logged; the caller must exit then.
 */
int confine(const char *readable, const char *writable);

/*
 * For the broker, once its sockets are open. It parses what tenants send, and starts executors, which need namespaces, a
 * compiler and drivers: so it is refused what nobody of these needs, sockets and other processes' memory among it, rather than
 * allowed what it needs. 0, or -errno, logged; the caller must exit then.
 */
int confine_broker(void);

#endif
