// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"
#include "agent/who/vm_proc.h"
#include "agent/who/vm_scan.h"

/* linux/sched.h */
#define PF_FORKNOEXEC 0x00000040
#define PF_KTHREAD 0x00200000

#define CMDLINE_MAX (128 << 10) /* bytes; what is longer is cut */

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

/*
 * The VMM that the process runs; by what it calls itself where the executable is not ours to see, as its command line would
 * have to be waited for. NULL: none.
 */
static const char *read_vmm(int proc)
{
	static const char deleted[] = " (deleted)"; /* after an upgrade */
	char text[PATH_MAX + 16];
	size_t len;
	int err = read_link(proc, "exe", text, sizeof(text));

	if (err == -EACCES || err == -EPERM) {
		if (util_read_file_at(proc, "comm", text, sizeof(text)) <= 0)
			return NULL;
		text[strcspn(text, "\n")] = '\0';
		return vm_vmm_of_comm(text);
	}
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

/* 0: there is none, or it cannot be read. */
static unsigned int read_index(const char *path)
{
	char text[32];

	return util_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 ? (unsigned int)strtoul(text, NULL, 10) : 0;
}

/* 0: it is no tap's. */
static unsigned int tun_index(int proc, int fd)
{
	char path[64], text[1024], name[IF_NAMESIZE];

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	if (util_read_file_at(proc, path, text, sizeof(text)) <= 0 || !vm_parse_tun(text, name) || strchr(name, '/'))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", name);
	return read_index(path);
}

/*
 * /dev/tapN belongs to the macvtap with index N, if we have such a one. What the process opened may just be called so, in a
 * mount namespace of its own: the device's number tells.
 */
static unsigned int macvtap_index(int fds, const char *fd, const char *link)
{
	unsigned int index, major, minor;
	char path[64], text[32];
	struct stat st;
	int end = 0;

	if (sscanf(link, "/dev/tap%u%n", &index, &end) != 1 || link[end])
		return 0;
	snprintf(path, sizeof(path), "/sys/class/macvtap/tap%u/dev", index);
	if (util_read_file_at(AT_FDCWD, path, text, sizeof(text)) <= 0 || sscanf(text, "%u:%u", &major, &minor) != 2 ||
	    fstatat(fds, fd, &st, 0))
		return 0;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(major, minor) ? index : 0;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

/* In order, and each once: a tap with many queues has as many descriptors. */
static void add_tap(unsigned int *taps, unsigned int index)
{
	unsigned int nr = 0, at;

	while (taps[nr])
		nr++;
	at = nr;
	while (at && taps[at - 1] >= index)
		at--;
	if (!index || nr == VM_TAPS_MAX || taps[at] == index)
		return;
	memmove(taps + at + 1, taps + at, (nr - at) * sizeof(*taps));
	taps[at] = index;
}

/* Is its namespace @name, such as "ns/net", ours? */
static bool is_in_ours(int proc, const char *name)
{
	char its[64], self[64], ours[64];

	snprintf(self, sizeof(self), "/proc/self/%s", name);
	return !read_link(proc, name, its, sizeof(its)) && !read_link(AT_FDCWD, self, ours, sizeof(ours)) && !strcmp(its, ours);
}

/* In a chroot /dev has something before it. */
static void read_fds(int proc, struct vm_look *ret)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool ours = is_in_ours(proc, "ns/net");
	const struct dirent *entry;
	unsigned int nr = 0;
	char link[256];

	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || read_link(fd, entry->d_name, link, sizeof(link)))
			continue;
		if (nr++ == VM_FDS_MAX) {
			ret->cut = true;
			break;
		}
		if (strstr(link, "/dev/vhost-"))
			ret->vhost = true;
		if (ours && ends_in(link, "/dev/net/tun"))
			add_tap(ret->taps, tun_index(proc, atoi(entry->d_name)));
		if (ours)
			add_tap(ret->taps, macvtap_index(fd, entry->d_name, link));
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

/* All that its memory tells. */
static int read_name(int proc, int pid, const char *vmm, const struct vm_stat *st, struct vm_look *ret)
{
	_free_ char *memory = NULL;
	struct cmdline c;
	int err = read_cmdline(proc, &c, &memory);

	if (err)
		return err;
	ret->waits = !strcmp(vmm, "qemu") && waits_for_daemon(&c, st, pid);
	vm_name(vmm, &c, ret->path, pid, ret->name);
	return 0;
}

static int look(int proc, int pid, __u64 start, bool again, struct vm_look *ret)
{
	const char *vmm = read_vmm(proc);
	struct vm_stat st;
	int err;

	if (!vmm)
		return -ESRCH;
	err = read_stat(proc, &st);
	if (!err && st.start != start)
		err = -ESRCH;
	if (err)
		return err;
	read_path(proc, ret->path);
	if (!again)
		err = read_name(proc, pid, vmm, &st, ret);
	if (err)
		return err;
	read_fds(proc, ret);
	/* A process that ended meanwhile has lost its descriptors first; better none than half a VM. */
	return read_stat(proc, &st) || !read_vmm(proc) ? -ESRCH : 0;
}

static int no_process(int err)
{
	return err == -ENOENT ? -ESRCH : err;
}

int vm_look(int pid, __u64 start, bool again, struct vm_look *ret)
{
	_close_ int proc = open_proc(pid);

	*ret = (struct vm_look){};
	return no_process(proc < 0 ? proc : look(proc, pid, start, again, ret));
}

static int read_status(int proc, struct vm_status *ret)
{
	static const char *const keys[] = { "Tgid", "Uid", "NSpid" };
	char text[1024];
	int err = proc_status_lines(proc, keys, ARRAY_SIZE(keys), text, sizeof(text));

	if (err)
		return err == -ENODATA ? -ESRCH : err;
	return vm_parse_status(text, ret);
}

/* All through one descriptor of /proc/PID: its number may be another's by the next look, but not there. */
static int identify(int proc, int pid, struct vm_process *ret)
{
	const char *vmm = read_vmm(proc);
	struct vm_status status;
	struct vm_stat st;
	int err;

	*ret = (struct vm_process){ .pid = pid };
	if (!vmm)
		return -ESRCH;
	snprintf(ret->vmm, sizeof(ret->vmm), "%s", vmm);
	err = read_stat(proc, &st);
	if (!err)
		err = read_status(proc, &status);
	if (err)
		return err;
	ret->start = st.start;
	ret->uid = status.uid;
	ret->one_uid = status.one_uid;
	ret->ours = status.our_pids && is_in_ours(proc, "ns/user");
	read_path(proc, ret->path);
	return 0;
}

int vm_identify(int pid, struct vm_process *ret)
{
	_close_ int proc = open_proc(pid);

	return no_process(proc < 0 ? proc : identify(proc, pid, ret));
}

/* ---- all of them ---- */

/* A vhost worker is called after the thread that asked for it. Returns that one's process, 0 if it is none. */
static int find_helped(int proc)
{
	_close_ int owner_proc = -1;
	struct vm_status status;
	struct vm_stat st;
	char text[64];
	int owner;

	if (util_read_file_at(proc, "comm", text, sizeof(text)) <= 0 || sscanf(text, "vhost-%d", &owner) != 1)
		return 0;
	if (read_stat(proc, &st) || !(st.flags & PF_KTHREAD))
		return 0; /* any process can call itself so */
	owner_proc = open_proc(owner);
	return owner_proc < 0 || read_status(owner_proc, &status) ? 0 : status.tgid;
}

static void scan_one(int pid, const struct vm_found *found)
{
	_close_ int proc = open_proc(pid);
	struct vm_process one;
	int helped;

	if (proc < 0)
		return;
	if (!identify(proc, pid, &one)) {
		found->process(found->data, &one);
		return;
	}
	helped = found->helper ? find_helped(proc) : 0;
	if (helped)
		found->helper(found->data, pid, helped);
}

void vm_scan(const struct vm_found *found)
{
	_closedir_ DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			scan_one(atoi(entry->d_name), found);
}
