/* SPDX-License-Identifier: GPL-2.0 */
/* What bpf/net/net.bpf.c knows of sockets, and bpf/net/netlimit.bpf.c reads: whose they are, and whether they carry a
 * migration. */
#ifndef NESTOR_NET_SOCKETS_BPF_H
#define NESTOR_NET_SOCKETS_BPF_H

#include "bpf/net.h"

/* Cloned: an accepted socket begins with what is known of its listener. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct net_socket);
} net_sockets SEC(".maps");

#endif
