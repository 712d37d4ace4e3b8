/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF programs at the entry and the exit of an interface. From Linux 6.6 on they hang there by links (tcx), which end
 * with the agent however that ends; before, by filters of traffic control, which the next agent has to find.
 */
#ifndef NESTOR_NET_TC_H
#define NESTOR_NET_TC_H

#include <stdbool.h>

/* enum bpf_attach_type of Linux 6.6, which older headers lack */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

/* A program at an interface. */
struct tc {
	unsigned int ifindex;
	bool ingress;
	int link; /* -1: it is a filter */
	bool made_clsact; /* the filters' queueing discipline, which was not there before */
};

/* 0 or -errno, of which the interface's end, -ENODEV, is none to speak of. */
int tc_attach(struct tc *t, unsigned int ifindex, bool ingress, int prog, bool has_tcx);
/* Leaves the interface as it was, but for what others have added meanwhile. */
void tc_detach(struct tc *t);

/* Removes filters whose programs' names begin with @prefix from all interfaces. */
void tc_clean(const char *prefix);

#endif
