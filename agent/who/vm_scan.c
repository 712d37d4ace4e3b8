// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/who/vm_proc.h"
#include "agent/who/vm_scan.h"

/* linux/sched.h */
#define PF_FORKNOEXEC 0x00000040
#define PF_KTHREAD 0x00200000

#define CMDLINE_MAX (128 << 10) /* bytes; what is longer is cut */
#define FDS_MAX 65536 /* descriptors of one process that are looked at */

static void closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _closedir_ __attribute__((cleanup(closedir_p)))

/* ---- files of /proc/PID ---- */

/* 0 or -errno. */
static int read_link(int dir, const char *name, char *ret, size_t size)
{
	ssize_t len = readlinkat(dir, name, ret, size - 1);

	if (len < 0)
		return -errno;
	ret[len] = '\0';
	return 0;
}

static int read_stat(int proc, struct vm_stat *ret)
{
	char text[1024];
	ssize_t len = util_read_file_at(proc, "stat", text, sizeof(text));

	return len < 0 ? (int)len : vm_parse_stat(text, ret);
}

static int open_proc(int pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Cut at its end, where it is too long. A process that has ended has none. */
static int read_cmdline(int proc, struct cmdline *ret, char **ret_memory)
{
	char *memory = malloc(CMDLINE_MAX);
	ssize_t len = memory ? util_read_file_at(proc, "cmdline", memory, CMDLINE_MAX) : -ENOMEM;

	if (len <= 0) {
		free(memory);
		return len ? (int)len : -ESRCH;
	}
	*ret = (struct cmdline){ .text = memory, .len = (size_t)len };
	*ret_memory = memory;
	return 0;
}

/* The VMM that the process runs; by its first argument where the executable is not ours to see. NULL: none. */
static const char *read_vmm(int proc)
{
	static const char deleted[] = " (deleted)"; /* after an upgrade */
	char text[PATH_MAX + 16];
	size_t len;
	int err = read_link(proc, "exe", text, sizeof(text));

	if (err == -EACCES || err == -EPERM)
		return util_read_file_at(proc, "cmdline", text, sizeof(text)) > 0 ? vm_vmm(text) : NULL;
	if (err)
		return NULL;
	len = strlen(text);
	if (len >= sizeof(deleted) && !strcmp(text + len - (sizeof(deleted) - 1), deleted))
		text[len - (sizeof(deleted) - 1)] = '\0';
	return vm_vmm(text);
}

/* ---- its cgroup ---- */

static void read_path(int proc, char *ret)
{
	char text[16384];

	if (util_read_file_at(proc, "cgroup", text, sizeof(text)) < 0)
		text[0] = '\0';
	vm_parse_path(text, ret);
}

/* ---- its descriptors ---- */

/* 0: it is no tap's. */
static unsigned int tun_index(int proc, int fd)
{
	char path[32], text[1024], name[IF_NAMESIZE];

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	return util_read_file_at(proc, path, text, sizeof(text)) > 0 && vm_parse_tun(text, name) ? if_nametoindex(name) : 0;
}

/* /dev/tapN belongs to the macvtap with index N, if we have such a one. */
static unsigned int macvtap_index(const char *link)
{
	unsigned int index;
	char path[64];
	int end = 0;

	if (sscanf(link, "/dev/tap%u%n", &index, &end) != 1 || link[end])
		return 0;
	snprintf(path, sizeof(path), "/sys/class/macvtap/tap%u", index);
	return access(path, F_OK) ? 0 : index;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

struct taps {
	unsigned int index[VM_TAPS_MAX];
	unsigned int nr;
};

/* In order, and each once: a tap with many queues has as many descriptors. */
static void add_tap(struct taps *taps, unsigned int index)
{
	unsigned int at = taps->nr;

	while (at && taps->index[at - 1] >= index)
		at--;
	if (!index || taps->nr == VM_TAPS_MAX || (at < taps->nr && taps->index[at] == index))
		return;
	memmove(taps->index + at + 1, taps->index + at, (taps->nr - at) * sizeof(*taps->index));
	taps->index[at] = index;
	taps->nr++;
}

static bool in_our_netns(int proc)
{
	char its[64], ours[64];

	return !read_link(proc, "ns/net", its, sizeof(its)) && !read_link(AT_FDCWD, "/proc/self/ns/net", ours, sizeof(ours)) &&
	       !strcmp(its, ours);
}

/* Links only, for a look at a file may wait for its server. In a chroot /dev has something before it. */
static void read_fds(int proc, struct taps *taps, bool *ret_vhost)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool ours = in_our_netns(proc);
	const struct dirent *entry;
	unsigned int nr = 0;
	char link[256];

	while (dir && (entry = readdir(dir)) && nr++ < FDS_MAX) {
		if (!isdigit((unsigned char)entry->d_name[0]) || read_link(fd, entry->d_name, link, sizeof(link)))
			continue;
		if (strstr(link, "/dev/vhost-"))
			*ret_vhost = true;
		if (ours && ends_in(link, "/dev/net/tun"))
			add_tap(taps, tun_index(proc, atoi(entry->d_name)));
		if (ours)
			add_tap(taps, macvtap_index(link));
	}
}

/* ---- a VM ---- */

/*
 * "qemu -daemonize" forks twice. The process that was started waits for its grandchild, the daemon, to say that all is
 * well, and the child in between makes a session and ends: neither is the VM. The daemon has never executed a program.
 */
static bool waits_for_daemon(const struct cmdline *c, const struct vm_stat *st, int pid)
{
	return vm_cmdline_has(c, "daemonize") && (!(st->flags & PF_FORKNOEXEC) || st->session == pid);
}

static int copy_taps(const struct taps *taps, struct vm *vm)
{
	if (!taps->nr)
		return 0;
	vm->taps = calloc(taps->nr + 1, sizeof(*vm->taps));
	if (!vm->taps)
		return -ENOMEM;
	memcpy(vm->taps, taps->index, taps->nr * sizeof(*vm->taps));
	return 0;
}

/* What may change while it runs. */
static int look_at_rest(int proc, struct vm *vm)
{
	struct taps taps = {};
	struct vm_stat st;
	int err;

	read_path(proc, vm->path);
	read_fds(proc, &taps, &vm->vhost);
	/* A process that ended meanwhile has lost its descriptors first; better none than half a VM. */
	err = read_stat(proc, &st);
	if (err)
		return err;
	return st.start == vm->start && read_vmm(proc) ? copy_taps(&taps, vm) : -ESRCH;
}

static int look(int proc, int pid, struct vm *ret)
{
	_free_ char *memory = NULL;
	struct vm_stat st;
	struct cmdline c;
	int err;

	*ret = (struct vm){ .pid = pid, .vmm = read_vmm(proc) };
	if (!ret->vmm)
		return -ESRCH;
	err = read_stat(proc, &st);
	if (!err)
		err = read_cmdline(proc, &c, &memory);
	if (err)
		return err;
	if (!strcmp(ret->vmm, "qemu") && waits_for_daemon(&c, &st, pid))
		return -EAGAIN;
	ret->start = st.start;
	err = look_at_rest(proc, ret);
	if (!err)
		vm_name(ret->vmm, &c, ret->path, pid, ret->name);
	return err;
}

int vm_look(int pid, struct vm *ret)
{
	_close_ int proc = open_proc(pid);
	int err = proc < 0 ? proc : look(proc, pid, ret);

	return err == -ENOENT ? -ESRCH : err;
}

int vm_look_again(const struct vm *was, struct vm *ret)
{
	_close_ int proc = open_proc(was->pid);
	int err;

	*ret = *was;
	ret->taps = NULL;
	ret->vhost = false;
	err = proc < 0 ? proc : look_at_rest(proc, ret);
	return err == -ENOENT ? -ESRCH : err;
}

void vm_forget(struct vm *vm)
{
	free(vm->taps);
	vm->taps = NULL;
}

static bool same_taps(const unsigned int *a, const unsigned int *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool vm_same(const struct vm *a, const struct vm *b)
{
	return a->pid == b->pid && a->start == b->start && a->vhost == b->vhost && !strcmp(a->path, b->path) &&
	       same_taps(a->taps, b->taps);
}

/* The next process of /proc, 0 at the end. */
static int next_pid(DIR *dir)
{
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			return atoi(entry->d_name);
	return 0;
}

static bool runs_vmm(int pid)
{
	_close_ int proc = open_proc(pid);

	return proc >= 0 && read_vmm(proc);
}

void vm_scan(void (*found)(void *data, int pid), void *data)
{
	_closedir_ DIR *dir = opendir("/proc");
	unsigned int nr = 0;
	int pid;

	while (nr < VMS_MAX && (pid = next_pid(dir)))
		if (runs_vmm(pid)) {
			found(data, pid);
			nr++;
		}
}

/* ---- helpers ---- */

/* A vhost worker is called after the thread that asked for it. */
static bool is_helper(int tid, const struct vm *vm)
{
	_close_ int proc = open_proc(tid);
	char text[64];
	struct vm_stat st;
	int owner;

	if (proc < 0 || util_read_file_at(proc, "comm", text, sizeof(text)) <= 0 || sscanf(text, "vhost-%d", &owner) != 1)
		return false;
	if (read_stat(proc, &st) || !(st.flags & PF_KTHREAD))
		return false; /* any process can call itself so */
	snprintf(text, sizeof(text), "/proc/%d/task/%d", vm->pid, owner);
	return !access(text, F_OK);
}

int vm_helpers(const struct vm *vm, int *tids, unsigned int size)
{
	_closedir_ DIR *dir = vm->vhost ? opendir("/proc") : NULL;
	unsigned int nr = 0;
	int tid;

	while (nr < size && (tid = next_pid(dir)))
		if (is_helper(tid, vm))
			tids[nr++] = tid;
	return (int)nr;
}

/* ---- news of taps ---- */

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
