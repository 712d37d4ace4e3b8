/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMs: which processes are VMs, what they are called, and what is theirs. Knows processes only; who keeps the list.
 * Everything is read from /proc, where a process may end between any two looks: that is never an error to report.
 *
 * To read another process' executable, network namespace and descriptors takes CAP_SYS_PTRACE, whoever runs it: its
 * user is another one, or it is root with more capabilities than the agent kept. Without it VMs are still found and
 * named, by the command line, but their taps are not.
 *
 * When to look: vm_scan() at the start; vm_look() when a process runs a new program, and vm_look_again() every few
 * seconds for what it opened later. vm_links_changed() tells of taps at once. QEMU's -daemonize is two forks, of which
 * no event tells: vm_look() says so, then vm_scan() is due until the daemon is there.
 */
#ifndef NESTOR_VM_SCAN_H
#define NESTOR_VM_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "bpf/owner.h"

#define VMS_MAX 1024 /* VMs of a machine; vm_scan() tells of no more processes */
#define VM_TAPS_MAX 64 /* of one VM */

struct vm {
	/*
	 * As the command line or the machine scope has it: valid UTF-8 without control characters, never empty, and
	 * with room for a suffix. Two VMs may have the same: who calls the second one NAME:PID.
	 */
	char name[OWNER_NAME_MAX];
	const char *vmm; /* "qemu", "cloud-hypervisor" or "firecracker" */
	int pid;
	__u64 start; /* clock ticks since boot: pid and start together are one process for ever */
	unsigned int *taps; /* interface indexes in our network namespace, ascending, ended by 0; NULL: none */
	bool vhost; /* has a vhost device open: may have helpers */
	char path[OWNER_PATH_MAX]; /* its cgroup: the machine scope it is in, else that of its process; "/" if unknown */
};

/*
 * Fills in @ret; free it with vm_forget(). -ESRCH: no such process (any more), or not a VM. -EAGAIN: it waits
 * for the daemon that it started, which is the VM. -errno: cannot read.
 */
int vm_look(int pid, struct vm *ret);
void vm_forget(struct vm *vm);

/*
 * The same for a process that was a VM, and may not be any more. The name stays, so this does not read the
 * command line, which is memory of the process and makes one wait while that is locked.
 */
int vm_look_again(const struct vm *was, struct vm *ret);

/* Two looks at one process: are path, taps and vhost still the same? */
bool vm_same(const struct vm *a, const struct vm *b);

/* Calls @found for each process that runs a VMM, for it to look at. */
void vm_scan(void (*found)(void *data, int pid), void *data);

/*
 * Threads of the kernel, not of the VM's process, that do its I/O: vhost workers of 6.1. On newer kernels they are
 * threads of the process itself, and not told here, unless the kernel lets the VMM choose and it chose so.
 * Returns their number, at most @size. Reads all of /proc if the VM has a vhost device open.
 */
int vm_helpers(const struct vm *vm, int *tids, unsigned int size);

/*
 * A socket that becomes readable when network interfaces come, go or change state, or -errno, logged; takes AF_NETLINK.
 * vm_links_changed() empties it: was one of them a tap or macvtap, or may it have been?
 */
int vm_links_open(void);
bool vm_links_changed(int fd);

/* ---- the names alone (agent/who/vm_name.c), which read nothing ---- */

/* The VMM of the executable @program, a path or a file name; NULL if it is none. */
const char *vm_vmm(const char *program);

/* The arguments as /proc/PID/cmdline has them, each with a NUL. */
struct cmdline {
	const char *text; /* a NUL follows the last byte in any case */
	size_t len;
};

/*
 * Writes the name of a VM into @ret, OWNER_NAME_MAX bytes. @path: of its cgroup. @pid is for a VM that is called
 * nothing.
 */
void vm_name(const char *vmm, const struct cmdline *c, const char *path, int pid, char *ret);

/* Is there an option without value -@name or --@name? */
bool vm_cmdline_has(const struct cmdline *c, const char *name);

/* Cuts @path behind the cgroup that libvirt made for one VM, if it is in one. */
void vm_cut_path(char *path);

#endif
