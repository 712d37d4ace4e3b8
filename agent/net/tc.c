// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/net/tc.h"
#include "agent/lib/util.h"

/* Where our filters are: behind those of most others. */
#define PRIORITY 0x4e53
#define HANDLE 1

static struct bpf_tc_hook hook_of(unsigned int ifindex, enum bpf_tc_attach_point point)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook), .ifindex = (int)ifindex, .attach_point = point };
}

static enum bpf_tc_attach_point point_of(bool ingress)
{
	return ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

/* ---- filters that are there ---- */

/* Reads answers until one is a filter (1) or the end is told (0). -errno if neither comes. */
static int read_dump(int fd)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		if (len < 0)
			return -errno;
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == RTM_NEWTFILTER)
				return 1;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return -EIO;
		}
	}
}

/* Is there a filter, anybody's? 0 or 1, or -errno. */
static int has_filters(unsigned int ifindex, __u32 parent)
{
	struct {
		struct nlmsghdr head;
		struct tcmsg body;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = RTM_GETTFILTER,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent },
	};
	_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	return read_dump(fd);
}

static void remove_empty_clsact(unsigned int ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (!has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
	    !has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
		bpf_tc_hook_destroy(&hook);
}

/* ---- one program ---- */

static int attach_filter(struct tc *t, int prog)
{
	struct bpf_tc_hook hook = hook_of(t->ifindex, point_of(t->ingress));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .flags = BPF_TC_F_REPLACE, .handle = HANDLE,
			    .priority = PRIORITY);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	t->made_clsact = !err;
	return bpf_tc_attach(&hook, &opts);
}

static void detach_filter(unsigned int ifindex, bool ingress)
{
	struct bpf_tc_hook hook = hook_of(ifindex, point_of(ingress));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	bpf_tc_detach(&hook, &opts);
}

int tc_attach(struct tc *t, unsigned int ifindex, bool ingress, int prog, bool has_tcx)
{
	*t = (struct tc){ .ifindex = ifindex, .ingress = ingress, .link = -1 };
	if (!has_tcx)
		return attach_filter(t, prog);
	t->link = bpf_link_create(prog, (int)ifindex, (enum bpf_attach_type)(ingress ? TCX_INGRESS : TCX_EGRESS), NULL);
	return t->link < 0 ? t->link : 0;
}

void tc_detach(struct tc *t)
{
	if (t->link >= 0) {
		close(t->link);
		return;
	}
	detach_filter(t->ifindex, t->ingress);
	if (t->made_clsact)
		remove_empty_clsact(t->ifindex);
}

/* ---- after an agent that was killed ---- */

static bool is_ours(unsigned int ifindex, bool ingress, const char *prefix)
{
	struct bpf_tc_hook hook = hook_of(ifindex, point_of(ingress));
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	_close_ int prog = -1;

	if (bpf_tc_query(&hook, &opts))
		return false;
	prog = bpf_prog_get_fd_by_id(opts.prog_id);
	return prog >= 0 && !bpf_obj_get_info_by_fd(prog, &info, &len) && !strncmp(info.name, prefix, strlen(prefix));
}

void tc_clean(const char *prefix)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		if (is_ours(i->if_index, true, prefix))
			detach_filter(i->if_index, true);
		if (is_ours(i->if_index, false, prefix))
			detach_filter(i->if_index, false);
	}
	if_freenameindex(all);
}
