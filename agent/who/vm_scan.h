/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMs: which processes are VMs, what they are called, and what is theirs, from /proc. A process may end between any two
 * looks: that is never an error to report.
 *
 * A process can make whoever reads its memory or its descriptors wait, for ever: only the looker does (agent/who/looker.h).
 * The structs cross a socket between it and the agent; the agent checks what it gets.
 *
 * To read another process' executable, namespaces and descriptors takes CAP_SYS_PTRACE, whoever runs it: its user is another
 * one, or it is root with more capabilities than the reader. Without it VMs are still found and named, by what they call
 * themselves, but their taps are not.
 */
#ifndef NESTOR_VM_SCAN_H
#define NESTOR_VM_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "bpf/owner.h"

#define VM_TAPS_MAX 64 /* of one VM */
#define VM_FDS_MAX 4096 /* descriptors of one process that are looked at, the lowest; QEMU has one to three per queue */
#define VMM_NAME_MAX 24

/* A process that runs a VMM. Nothing in here waits for the process, nor can it choose any of it but its program and user. */
struct vm_process {
	char vmm[VMM_NAME_MAX]; /* "qemu", "cloud-hypervisor" or "firecracker" */
	int pid;
	__u32 uid; /* real */
	__u64 start; /* clock ticks since boot: pid and start together are one process for ever */
	__u8 one_uid; /* real, effective, saved and file system user are the same */
	__u8 ours; /* it is in the reader's user namespace and PID namespace */
	char path[OWNER_PATH_MAX]; /* its cgroup: the machine scope it is in, else that of its process; "/" if unknown */
};

/* What its memory and its descriptors tell. */
struct vm_look {
	/*
	 * As the command line or the machine scope has it: valid UTF-8 without control characters, never empty, and with
	 * room for a prefix and a suffix.
	 */
	char name[OWNER_NAME_MAX];
	char path[OWNER_PATH_MAX];
	unsigned int taps[VM_TAPS_MAX + 1]; /* interface indexes in our network namespace, ascending, ended by 0 */
	__u8 vhost; /* has a vhost device open: may have helpers */
	__u8 waits; /* is no VM, but waits for the daemon that it started, which is */
	__u8 cut; /* it has more than VM_FDS_MAX descriptors */
};

/* 0; -ESRCH: no such process (any more), or it runs no VMM. Never waits. */
int vm_identify(int pid, struct vm_process *ret);

/*
 * 0; -ESRCH: no such process any more; -errno: cannot read. May wait for ever. @again: the name is known, and remains "", so
 * its memory is not read.
 */
int vm_look(int pid, __u64 start, bool again, struct vm_look *ret);

struct vm_found {
	void (*process)(void *data, const struct vm_process *one);
	/*
	 * Thread @tid of the kernel does I/O for process @pid: vhost workers of 6.1. On newer kernels they are threads of the
	 * process itself, and not told here, unless the kernel lets the VMM choose and it chose so. NULL: not wanted.
	 */
	void (*helper)(void *data, int tid, int pid);
	void *data;
};

/* All of /proc. Never waits. */
void vm_scan(const struct vm_found *found);

/* ---- the names alone (agent/who/vm_name.c), which read nothing ---- */

/* The VMM of the executable @program, a path or a file name; NULL if it is none. */
const char *vm_vmm(const char *program);
/* The same, where only what the process calls itself is known. */
const char *vm_vmm_of_comm(const char *comm);
/* @name of a VMM, as vm_vmm() gives it; NULL if it is none. */
const char *vm_vmm_named(const char *name);

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

/*
 * Is @path in a cgroup that libvirt or systemd-machined made for a VM, where only root makes them: a scope in machine.slice,
 * or in a slice of that, or without systemd in /machine?
 */
bool vm_is_in_machine(const char *path);

#endif
