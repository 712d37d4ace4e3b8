/* SPDX-License-Identifier: GPL-2.0 */
/* News of taps: a VM is about to open one, or has just closed it. */
#ifndef NESTOR_VM_LINKS_H
#define NESTOR_VM_LINKS_H

#include <stdbool.h>

/*
 * A socket that becomes readable when network interfaces come, go or change state, or -errno, logged; takes AF_NETLINK.
 * vm_links_changed() empties it: was one of them a tap or macvtap, or may it have been?
 */
int vm_links_open(void);
bool vm_links_changed(int fd);

#endif
