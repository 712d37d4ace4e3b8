// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "agent/lib/log.h"
#include "agent/who/vm_links.h"
#include "agent/who/vm_proc.h"

int vm_links_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return log_error(-errno, "cannot hear of network interfaces: %m");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int err = log_error(-errno, "cannot hear of network interfaces: %m");

		close(fd);
		return err;
	}
	return fd;
}

bool vm_links_changed(int fd)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool changed = false;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 || (n < 0 && errno == ENOBUFS)) {
		if (n < 0) {
			changed = true; /* messages were lost */
			continue;
		}
		changed |= vm_parse_links(buf, n);
	}
	return changed;
}
