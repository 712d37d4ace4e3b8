/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel tells of a process and of network interfaces, as text and as messages; reads nothing itself. */
#ifndef NESTOR_VM_PROC_H
#define NESTOR_VM_PROC_H

#include <net/if.h>
#include <stdbool.h>
#include <sys/types.h>

#include <linux/types.h>

/* Of /proc/PID/stat. */
struct vm_stat {
	char state;
	int session;
	unsigned int flags;
	__u64 start;
};

/* 0, or -ESRCH if @text is no such line, as that of a process that has just ended. */
int vm_parse_stat(const char *text, struct vm_stat *ret);

/* Of /proc/PID/status. */
struct vm_status {
	__u32 uid; /* the real one, as the reader's user namespace has it */
	bool one_uid; /* the real, effective, saved and file system user are the same */
	bool our_pids; /* it is in the reader's PID namespace, not in one below that */
	int tgid;
};

/* 0, or -ESRCH if @text lacks a line. */
int vm_parse_status(const char *text, struct vm_status *ret);

/*
 * From /proc/PID/cgroup, which is cut into pieces: the path in the hierarchy of the memory controller, or in cgroup v2, into
 * @ret, OWNER_PATH_MAX bytes; "/" if there is none, or it is outside of what we see. Ends behind libvirt's cgroup of a VM.
 */
void vm_parse_path(char *text, char *ret);

/* From /proc/PID/fdinfo/FD: the name of a tap. False for another descriptor. */
bool vm_parse_tun(const char *text, char ret_name[IF_NAMESIZE]);

/* @len bytes of rtnetlink messages, aligned as those: does one tell of a tap or macvtap? */
bool vm_parse_links(const char *messages, ssize_t len);

#endif
