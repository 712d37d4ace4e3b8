// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "agent/who/vm_proc.h"
#include "agent/who/vm_scan.h"

/* The name in brackets may hold anything, also brackets. */
int vm_parse_stat(const char *text, struct vm_stat *ret)
{
	const char *rest = strrchr(text, ')');

	/* Behind the name: state, parent, group, session, terminal, its group, flags, and 12 more up to the start. */
	if (!rest || sscanf(rest + 1, " %c %*d %*d %d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			    &ret->state, &ret->session, &ret->flags, &ret->start) != 4)
		return -ESRCH;
	return 0;
}

/* What follows @head, which begins a line; NULL: there is none. The first line is the process' name, escaped. */
static const char *find_line(const char *text, const char *head)
{
	const char *at = strstr(text, head);

	return at ? at + strlen(head) : NULL;
}

int vm_parse_status(const char *text, struct vm_status *ret)
{
	const char *tgid = find_line(text, "\nTgid:\t"), *uids = find_line(text, "\nUid:\t"),
		   *pids = find_line(text, "\nNSpid:\t");
	unsigned int uid[4];

	if (!tgid || !uids || !pids || sscanf(tgid, "%d", &ret->tgid) != 1 ||
	    sscanf(uids, "%u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]) != 4)
		return -ESRCH;
	ret->uid = uid[0];
	ret->one_uid = uid[0] == uid[1] && uid[0] == uid[2] && uid[0] == uid[3];
	ret->our_pids = !memchr(pids, '\t', strcspn(pids, "\n"));
	return 0;
}

/* ---- cgroups ---- */

/* Does the list "cpu,memory" name the memory controller? */
static bool has_memory(const char *controllers, const char *end)
{
	while (controllers < end) {
		size_t len = strcspn(controllers, ",:");

		if (len == strlen("memory") && !strncmp(controllers, "memory", len))
			return true;
		controllers += len + 1;
	}
	return false;
}

/* Lines are "id:controllers:/path"; the v2 one is "0::/path", and stands last. */
void vm_parse_path(char *text, char *ret)
{
	const char *best = NULL;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!path)
			continue;
		if (has_memory(controllers + 1, path)) {
			best = path + 1;
			break;
		}
		if (!strncmp(line, "0::", 3))
			best = path + 1;
	}
	/* A path that begins with /.. is outside of what we see. */
	snprintf(ret, OWNER_PATH_MAX, "%s", best && strncmp(best, "/..", 3) ? best : "/");
	vm_cut_path(ret);
}

/* ---- taps ---- */

/* Only a tun descriptor has a line "iff:". */
bool vm_parse_tun(const char *text, char ret_name[IF_NAMESIZE])
{
	const char *line = strstr(text, "\niff:\t");

	return line && sscanf(line, "\niff:\t%15[^\n]", ret_name) == 1;
}

static bool is_text(const struct rtattr *attr, const char *text)
{
	return RTA_PAYLOAD(attr) > strlen(text) && !memcmp(RTA_DATA(attr), text, strlen(text) + 1);
}

/* IFLA_INFO_KIND of a link message is tun or macvtap. */
static bool is_tap_message(const struct nlmsghdr *msg)
{
	const struct ifinfomsg *info = NLMSG_DATA(msg);
	const struct rtattr *attr = IFLA_RTA(info), *kind;
	int left = (int)IFLA_PAYLOAD(msg), kinds;

	if (msg->nlmsg_type != RTM_NEWLINK && msg->nlmsg_type != RTM_DELLINK)
		return false;
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if ((attr->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
			continue;
		kind = RTA_DATA(attr);
		kinds = (int)RTA_PAYLOAD(attr);
		for (; RTA_OK(kind, kinds); kind = RTA_NEXT(kind, kinds))
			if (kind->rta_type == IFLA_INFO_KIND)
				return is_text(kind, "tun") || is_text(kind, "macvtap");
	}
	return false;
}

bool vm_parse_links(const char *messages, ssize_t len)
{
	const struct nlmsghdr *msg = (const struct nlmsghdr *)messages;
	bool any = false;

	for (; NLMSG_OK(msg, len); msg = NLMSG_NEXT(msg, len))
		any |= is_tap_message(msg);
	return any;
}
