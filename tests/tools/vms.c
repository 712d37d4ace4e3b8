// SPDX-License-Identifier: GPL-2.0
/*
 * vms: prints the VMs of this machine as agent/who/vm_scan.c finds them, one a line: name, VMM, pid, cgroup, taps, helpers.
 * vms watch: says "ready", then "changed" for each news of a tap, until it is ended.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/lib/util.h"
#include "agent/who/vm_scan.h"

static void print(void *data, int pid)
{
	int tids[16], nr;
	struct vm vm;

	(void)data;
	if (vm_look(pid, &vm))
		return;
	printf("%s %s %d %s taps:", vm.name, vm.vmm, vm.pid, vm.path);
	for (const unsigned int *tap = vm.taps; tap && *tap; tap++)
		printf(" %u", *tap);
	printf(" helpers:");
	nr = vm_helpers(&vm, tids, ARRAY_SIZE(tids));
	for (int i = 0; i < nr; i++)
		printf(" %d", tids[i]);
	printf("\n");
	vm_forget(&vm);
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
	vm_scan(print, NULL);
	return 0;
}
