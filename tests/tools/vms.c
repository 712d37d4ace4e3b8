// SPDX-License-Identifier: GPL-2.0
/*
 * vms: prints the VMs of this machine as agent/who/vm_scan.c finds them, one a line: name, VMM, pid, cgroup, taps, helpers.
 * vms watch: says "ready", then "changed" for each news of a tap, until it is ended.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/lib/util.h"
#include "agent/who/vm_links.h"
#include "agent/who/vm_scan.h"

#define HELPERS_MAX 64

static struct {
	int tid, pid;
} helpers[HELPERS_MAX];
static unsigned int nr_helpers;

static void ignore(void *data, const struct vm_process *one)
{
	(void)data;
	(void)one;
}

static void note_helper(void *data, int tid, int pid)
{
	(void)data;
	if (nr_helpers == HELPERS_MAX)
		return;
	helpers[nr_helpers].tid = tid;
	helpers[nr_helpers++].pid = pid;
}

static void print(void *data, const struct vm_process *one)
{
	struct vm_look vm;

	(void)data;
	if (vm_look(one->pid, one->start, false, &vm) || vm.waits)
		return;
	printf("%s %s %d %s taps:", vm.name, one->vmm, one->pid, vm.path);
	for (const unsigned int *tap = vm.taps; *tap; tap++)
		printf(" %u", *tap);
	printf(" helpers:");
	for (unsigned int i = 0; vm.vhost && i < nr_helpers; i++)
		if (helpers[i].pid == one->pid)
			printf(" %d", helpers[i].tid);
	printf("\n");
}

static int watch(void)
{
	struct pollfd fd = { .fd = vm_links_open(), .events = POLLIN };

	setlinebuf(stdout);
	puts("ready");
	while (fd.fd >= 0 && poll(&fd, 1, -1) >= 0)
		if (vm_links_changed(fd.fd))
			puts("changed");
	return 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "watch"))
		return watch();
	vm_scan(&(struct vm_found){ ignore, note_helper, NULL });
	vm_scan(&(struct vm_found){ print, NULL, NULL });
	return 0;
}
