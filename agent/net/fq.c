// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/lib/log.h"
#include "agent/net/fq.h"
#include "agent/lib/util.h"

/* Of our root qdiscs: "6378:", NEST on a telephone. The kernel gives 8000: and up, and its defaults have none. */
#define HANDLE 0x63780000U

/* Packets that fq holds, for one socket or all: 50 ms of full frames at 10 Gbit/s. Its own defaults are 100 and 10000. */
#define FQ_PACKETS 50000U

#define DEVICES_MAX 256 /* in one namespace; the others are policed */
#define TAPS_MAX 1024

struct device {
	unsigned int index;
	unsigned int queues;
	bool wanted;
	__u32 handle; /* of the root qdisc; 0: the kernel's default */
	char kind[16]; /* of the root qdisc */
	char name[IF_NAMESIZE];
};

/* A network namespace. */
struct space {
	dev_t dev;
	ino_t ino;
	int fd; /* netlink socket that was opened in it */
	bool wanted; /* this time */
	bool told; /* of a device that is left alone */
	LIST_ENTRY(space) entry;
};

struct net_fq {
	LIST_HEAD(, space) spaces;
	struct space *host; /* ours */
	unsigned int taps[TAPS_MAX], nr_taps;
};

/* ---- netlink ---- */

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct tcmsg qdisc;
		struct rtmsg route;
	};
	char attributes[128];
};

typedef void (*message_fn)(void *data, const struct nlmsghdr *h);

static struct nlattr *add(struct request *r, unsigned short type, const void *value, size_t len)
{
	struct nlattr *a = (void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (unsigned short)(NLA_HDRLEN + len);
	if (len)
		memcpy((char *)a + NLA_HDRLEN, value, len);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + (__u32)NLA_ALIGN(a->nla_len);
	return a;
}

/* 1: more is to come. 0 or -errno: that was the end. */
static int read_answer(int fd, __u32 seq, message_fn each, void *data)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t len = recv(fd, buf, sizeof(buf), 0);

	if (len < 0)
		return -errno;
	for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_seq != seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
		if (each)
			each(data, h);
	}
	return 1;
}

static int transact(int fd, struct request *r, message_fn each, void *data)
{
	static __u32 seq;
	int err;

	r->head.nlmsg_seq = ++seq;
	r->head.nlmsg_flags |= NLM_F_REQUEST | (each ? NLM_F_DUMP : NLM_F_ACK);
	if (send(fd, r, r->head.nlmsg_len, 0) < 0)
		return -errno;
	do
		err = read_answer(fd, seq, each, data);
	while (err > 0);
	return err;
}

#define REQUEST(type, member)                                                                                                  \
	(struct request)                                                                                                       \
	{                                                                                                                      \
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(((struct request *)0)->member)), .nlmsg_type = (type) }              \
	}

/* ---- what is there ---- */

struct survey {
	const struct net_fq *fq;
	const struct space *space;
	struct device devices[DEVICES_MAX];
	unsigned int nr;
};

static struct device *find_device(struct survey *s, unsigned int index)
{
	for (unsigned int i = 0; i < s->nr; i++)
		if (s->devices[i].index == index)
			return &s->devices[i];
	return NULL;
}

static bool is_tap(const struct net_fq *f, unsigned int index)
{
	for (unsigned int i = 0; i < f->nr_taps; i++)
		if (f->taps[i] == index)
			return true;
	return false;
}

/* In a container all devices count; on the host those of hardware, as bridges and veths lead to others on this machine. */
static void on_link(void *data, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	int len = (int)IFLA_PAYLOAD(h);
	struct survey *s = data;
	bool hardware = false, slave = false, host = s->space == s->fq->host;
	struct device *d;

	if (h->nlmsg_type != RTM_NEWLINK || s->nr == DEVICES_MAX || link->ifi_flags & IFF_LOOPBACK ||
	    !(link->ifi_flags & IFF_UP))
		return;
	d = &s->devices[s->nr++];
	*d = (struct device){ .index = (unsigned int)link->ifi_index, .queues = 1 };
	for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFLA_IFNAME)
			snprintf(d->name, sizeof(d->name), "%s", (const char *)RTA_DATA(a));
		else if (a->rta_type == IFLA_NUM_TX_QUEUES)
			memcpy(&d->queues, RTA_DATA(a), sizeof(d->queues));
		hardware |= a->rta_type == IFLA_PARENT_DEV_NAME;
		slave |= a->rta_type == IFLA_MASTER;
	}
	d->wanted = (s->space->wanted && !slave && (!host || hardware)) || (host && is_tap(s->fq, d->index));
}

static void on_route(void *data, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);
	int len = (int)RTM_PAYLOAD(h);
	struct device *d;

	if (h->nlmsg_type != RTM_NEWROUTE || route->rtm_dst_len || route->rtm_type != RTN_UNICAST)
		return;
	for (const struct rtattr *a = RTM_RTA(route); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		d = a->rta_type == RTA_OIF ? find_device(data, *(unsigned int *)RTA_DATA(a)) : NULL;
		if (d)
			d->wanted = true;
	}
}

static void on_qdisc(void *data, const struct nlmsghdr *h)
{
	const struct tcmsg *qdisc = NLMSG_DATA(h);
	int len = (int)TCA_PAYLOAD(h);
	struct device *d;

	if (h->nlmsg_type != RTM_NEWQDISC || qdisc->tcm_parent != TC_H_ROOT)
		return;
	d = find_device(data, (unsigned int)qdisc->tcm_ifindex);
	if (!d)
		return;
	d->handle = qdisc->tcm_handle;
	for (const struct rtattr *a = TCA_RTA(qdisc); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == TCA_KIND)
			snprintf(d->kind, sizeof(d->kind), "%s", (const char *)RTA_DATA(a));
}

static int survey(const struct net_fq *f, const struct space *space, struct survey *s)
{
	struct request links = REQUEST(RTM_GETLINK, link), routes = REQUEST(RTM_GETROUTE, route);
	struct request qdiscs = REQUEST(RTM_GETQDISC, qdisc);
	int err;

	s->fq = f;
	s->space = space;
	s->nr = 0;
	err = transact(space->fd, &links, on_link, s);
	if (!err && space == f->host && space->wanted)
		err = transact(space->fd, &routes, on_route, s);
	return err ?: transact(space->fd, &qdiscs, on_qdisc, s);
}

/* ---- changing it ---- */

static int add_qdisc(int fd, const struct device *d, __u32 parent, __u32 handle, const char *kind)
{
	struct request r = REQUEST(RTM_NEWQDISC, qdisc);
	const __u32 packets = FQ_PACKETS;
	struct nlattr *options;

	r.head.nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	r.qdisc = (struct tcmsg){ .tcm_ifindex = (int)d->index, .tcm_parent = parent, .tcm_handle = handle };
	add(&r, TCA_KIND, kind, strlen(kind) + 1);
	if (!strcmp(kind, "fq")) {
		options = add(&r, TCA_OPTIONS, NULL, 0);
		add(&r, TCA_FQ_PLIMIT, &packets, sizeof(packets));
		add(&r, TCA_FQ_FLOW_PLIMIT, &packets, sizeof(packets));
		options->nla_len = (unsigned short)((char *)&r + r.head.nlmsg_len - (char *)options);
	}
	return transact(fd, &r, NULL, NULL);
}

/* The kernel then attaches its default. */
static int delete_root(int fd, const struct device *d)
{
	struct request r = REQUEST(RTM_DELQDISC, qdisc);

	r.qdisc = (struct tcmsg){ .tcm_ifindex = (int)d->index, .tcm_parent = TC_H_ROOT };
	return transact(fd, &r, NULL, NULL);
}

/* A device with many queues keeps them: one fq each. */
static int set_fq(int fd, const struct device *d)
{
	int err;

	if (strcmp(d->kind, "mq") != 0)
		return add_qdisc(fd, d, TC_H_ROOT, HANDLE, "fq");
	err = add_qdisc(fd, d, TC_H_ROOT, HANDLE, "mq");
	for (unsigned int i = 0; !err && i < d->queues; i++)
		err = add_qdisc(fd, d, HANDLE | (i + 1), 0, "fq");
	if (err)
		delete_root(fd, d);
	return err;
}

static bool has_fq(const struct device *d)
{
	return d->handle == HANDLE || !strcmp(d->kind, "fq");
}

static void tell_once(struct space *s, const struct device *d, int err)
{
	if (s->told)
		return;
	s->told = true;
	if (err)
		log_warning("net: %s cannot have the queueing discipline fq (%s): limits drop packets there instead of "
			    "delaying them",
			    d->name, strerror(-err));
	else
		log_warning("net: %s has the queueing discipline %s, which somebody configured and which stays: limits drop "
			    "packets there instead of delaying them",
			    d->name, d->kind);
}

static void settle_device(struct space *s, struct device *d, struct net_fq_counts *n)
{
	int err = 0;

	if (!d->wanted && d->handle == HANDLE)
		err = delete_root(s->fd, d);
	if (!d->wanted) {
		if (err)
			log_warning("net: %s keeps the queueing discipline fq: %s", d->name, strerror(-err));
		return;
	}
	if (!has_fq(d) && !d->handle) {
		err = set_fq(s->fd, d);
		d->handle = err ? 0 : HANDLE;
	}
	if (has_fq(d))
		n->held++;
	else
		n->policed++;
	if (!has_fq(d))
		tell_once(s, d, err);
	n->ours += d->handle == HANDLE;
}

static void settle(const struct net_fq *f, struct space *s, struct net_fq_counts *n)
{
	_free_ struct survey *found = malloc(sizeof(*found));
	int err = found ? survey(f, s, found) : -ENOMEM;

	if (err)
		log_debug("net: cannot list the devices of a namespace: %s", strerror(-err));
	for (unsigned int i = 0; !err && i < found->nr; i++)
		settle_device(s, &found->devices[i], n);
}

/* ---- namespaces ---- */

static int open_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

struct visit {
	int ns; /* descriptor of the namespace */
	int netlink;
};

static void *visit(void *data)
{
	struct visit *v = data;

	v->netlink = setns(v->ns, CLONE_NEWNET) ? -errno : open_netlink();
	return NULL;
}

/* A socket stays in the namespace where it was opened. A thread of its own goes there, so that this one cannot get lost. */
static int open_netlink_in(int ns)
{
	struct visit v = { .ns = ns };
	pthread_t thread;
	int err = pthread_create(&thread, NULL, visit, &v);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	return v.netlink;
}

static struct space *find_space(const struct net_fq *f, const struct stat *st)
{
	struct space *s;

	LIST_FOREACH (s, &f->spaces, entry)
		if (s->ino == st->st_ino && s->dev == st->st_dev)
			return s;
	return NULL;
}

static struct space *space_of(struct net_fq *f, const char *path)
{
	_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);
	struct space *s;
	struct stat st;

	if (ns < 0 || fstat(ns, &st)) {
		log_debug("net: cannot open %s: %m", path); /* it may have ended meanwhile */
		return NULL;
	}
	s = find_space(f, &st);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct space){ .dev = st.st_dev, .ino = st.st_ino, .fd = f->host ? open_netlink_in(ns) : open_netlink() };
	if (s->fd < 0) {
		log_debug("net: cannot look into %s: %s", path, strerror(-s->fd));
		free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(&f->spaces, s, entry);
	return s;
}

static void close_space(struct space *s)
{
	LIST_REMOVE(s, entry);
	close(s->fd);
	free(s);
}

int net_fq_open(struct net_fq **ret)
{
	struct net_fq *f = calloc(1, sizeof(*f));

	if (f)
		f->host = space_of(f, "/proc/self/ns/net");
	if (!f || !f->host) {
		free(f);
		return log_error(-ENOMEM, "net: cannot ask for network devices");
	}
	*ret = f;
	return 0;
}

void net_fq_close(struct net_fq *f)
{
	while (f && !LIST_EMPTY(&f->spaces))
		close_space(LIST_FIRST(&f->spaces));
	free(f);
}

/* ---- what is wanted ---- */

void net_fq_begin(struct net_fq *f)
{
	struct space *s;

	LIST_FOREACH (s, &f->spaces, entry)
		s->wanted = false;
	f->nr_taps = 0;
}

void net_fq_want_host(struct net_fq *f)
{
	f->host->wanted = true;
}

void net_fq_want_tap(struct net_fq *f, unsigned int ifindex)
{
	if (f->nr_taps < TAPS_MAX)
		f->taps[f->nr_taps++] = ifindex;
}

static struct space *see(struct net_fq *f, int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return space_of(f, path);
}

void net_fq_want_process(struct net_fq *f, int pid)
{
	struct space *s = see(f, pid);

	if (s)
		s->wanted = true;
}

void net_fq_see_process(struct net_fq *f, int pid)
{
	see(f, pid);
}

/* Our socket would keep a namespace alive that nobody is in, so it is closed when nothing is wanted there. */
void net_fq_end(struct net_fq *f, struct net_fq_counts *ret)
{
	struct space *s, *next;

	*ret = (struct net_fq_counts){};
	for (s = LIST_FIRST(&f->spaces); s; s = next) {
		next = LIST_NEXT(s, entry);
		settle(f, s, ret);
		if (s != f->host && !s->wanted)
			close_space(s);
	}
}
