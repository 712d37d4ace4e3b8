// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 512
 * The name of a VM, from any command line and cgroup, of which any user can make up both: there always is one, which
 * can be shown. A line with the monitor's program, one with the cgroup, then the arguments.
 */
#include "agent/who/vm_scan.h"
#include "tests/fuzz/fuzz.h"

static void check_name(const char *name)
{
	MUST(*name && *name != '~' && is_utf8(name) && !has_control(name));
	MUST(strlen("user@4294967295/") + strlen(name) + sizeof(":4194304") <= OWNER_NAME_MAX);
}

/* Its program may be called in any way, its cgroup be any. */
static void check_path(char *path)
{
	_free_ char *whole = strdup(path);

	MUST(whole);
	vm_cut_path(path);
	MUST(!strncmp(whole, path, strlen(path)));
	MUST(!whole[strlen(path)] || whole[strlen(path)] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	_free_ char *program = take_until(&in, '\n'), *path = take_until(&in, '\n'), *text = NULL;
	struct cmdline c = { .len = in.len };
	const char *vmm = vm_vmm(program);
	char name[OWNER_NAME_MAX];

	c.text = text = take_rest(&in);
	MUST(!vmm || !strcmp(vmm, "qemu") || !strcmp(vmm, "cloud-hypervisor") || !strcmp(vmm, "firecracker"));
	vm_name(vmm ? vmm : "qemu", &c, path, 42, name);
	check_name(name);
	if (vm_cmdline_has(&c, "daemonize"))
		MUST(memmem(text, c.len, "-daemonize", sizeof("-daemonize") - 1));
	check_path(path);
	return 0;
}
