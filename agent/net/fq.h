/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The queueing discipline fq, which holds packets until they may leave: on the devices by which limited ones send, in
 * the network namespaces that they are in. Only where the kernel's default is, and the default comes back afterwards. What
 * somebody has configured stays. Ours have a handle that tells: there is no other record.
 */
#ifndef NESTOR_NET_FQ_H
#define NESTOR_NET_FQ_H

struct net_fq;

struct net_fq_counts {
	unsigned int ours; /* devices that we gave fq */
	unsigned int held; /* devices by which limited ones send that have fq, ours or not */
	unsigned int policed; /* and that have another one */
};

int net_fq_open(struct net_fq **ret); /* 0 or -errno, logged */
void net_fq_close(struct net_fq *f); /* everything stays as it is */

/*
 * From begin to end it is said where fq is wanted; end sees to it, and puts the default back where it is no longer
 * wanted in those namespaces that were named this time or before.
 */
void net_fq_begin(struct net_fq *f);
void net_fq_want_host(struct net_fq *f); /* devices that packets leave the machine by */
void net_fq_want_tap(struct net_fq *f, unsigned int ifindex); /* one of the host's */
void net_fq_want_process(struct net_fq *f, int pid); /* in the namespace of that process */
void net_fq_see_process(struct net_fq *f, int pid); /* not wanted there */
void net_fq_end(struct net_fq *f, struct net_fq_counts *ret);

#endif
