// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* The names of VMs, from command lines and cgroups, and the search of /proc on this test itself. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/lib/utf8.h"
#include "agent/lib/util.h"
#include "agent/who/vm_scan.h"
#include "tests/harness/tap.h"

static void test_programs(void)
{
	static const struct {
		const char *program, *vmm;
	} cases[] = {
		{ "/usr/bin/qemu-system-x86_64", "qemu" },
		{ "qemu-system-aarch64", "qemu" },
		{ "/usr/libexec/qemu-kvm", "qemu" },
		{ "kvm", "qemu" },
		{ "/opt/cloud-hypervisor-static", "cloud-hypervisor" },
		{ "/srv/jailer/firecracker/web/root/firecracker", "firecracker" },
		{ "firecracker-v1.9.0-x86_64", "firecracker" },
		{ "/usr/bin/qemu-img", NULL },
		{ "/usr/bin/qemu-nbd", NULL },
		{ "/usr/bin/kvm-ok", NULL },
		{ "/usr/bin/my-firecracker", NULL },
		{ "/qemu-system-x86_64/bash", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *vmm = vm_vmm(cases[i].program);

		ok(vmm && cases[i].vmm ? !strcmp(vmm, cases[i].vmm) : vmm == cases[i].vmm, "VMs: program \"%s\" is %s",
		   cases[i].program, cases[i].vmm ? cases[i].vmm : "no VMM");
	}
}

/* Arguments are divided by spaces here; in a copy of just their size, for ASan. */
static void is_named(const char *expected, const char *vmm, const char *args, const char *path)
{
	struct cmdline c = { .len = *args ? strlen(args) + 1 : 0 };
	char *text = strdup(args), name[OWNER_NAME_MAX];
	char what[1024];

	for (char *p = text; *p; p++)
		if (*p == ' ')
			*p = '\0';
	c.text = text;
	vm_name(vmm, &c, path, 42, name);
	snprintf(what, sizeof(what), "VM names: %s with \"%.100s\" in %.100s is %s", vmm, args, path, expected);
	for (char *p = what; *p; p++)
		if (*p == '\n')
			*p = '?';
	is_str(expected, name, what);
	free(text);
}

static void test_qemu(void)
{
	static const char scope[] = "/machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d1.scope";

	is_named("web", "qemu", "qemu -name guest=web,debug-threads=on -S", "/");
	is_named("web", "qemu", "qemu -S -name web", "/");
	is_named("web", "qemu", "qemu -name web,process=x", "/");
	is_named("web", "qemu", "qemu -name process=x,guest=web", "/");
	is_named("web", "qemu", "qemu --name web", "/");
	is_named("a,b", "qemu", "qemu -name a,,b,debug-threads=on", "/");
	is_named("a,guest=b", "qemu", "qemu -name guest=a,,guest=b", "/");
	is_named("db", "qemu", "qemu -name web -name guest=db", "/");
	is_named("web", "qemu", "qemu -name web -name debug-threads=on", "/");
	is_named("web", "qemu", "qemu -name web -uuid 1-2", scope);
	is_named("1-2", "qemu", "qemu -name debug-threads=on -uuid 1-2", scope);
	is_named("1-2", "qemu", "qemu -smbios type=1,manufacturer=a,,b,uuid=1-2", scope);
	is_named("web-1", "qemu", "qemu -S", scope);
	is_named("web-1", "qemu", "qemu -name debug-threads=on", scope);
	is_named("web-1", "qemu", "", scope);
	is_named("qemu-42", "qemu", "qemu -S", "/system.slice/vm.service");
	is_named("qemu-42", "qemu", "qemu -name", "/");
	is_named("qemu-42", "qemu", "qemu -name guest=", "/");
	is_named("qemu-42", "qemu", "qemu -drive file=-name,format=raw", "/");
	is_named("qemu-42", "qemu", "-name web", "/");
	is_named("qemu-42", "qemu", "qemu", "/");
	is_named("qemu-42", "qemu", "", "/");
}

static void test_machines(void)
{
	is_named("web", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope/libvirt/emulator");
	is_named("web", "qemu", "qemu", "/machine/qemu-3-web.libvirt-qemu/emulator");
	is_named("web", "cloud-hypervisor", "ch", "/machine.slice/machine-ch\\x2d12\\x2dweb.scope");
	is_named("web", "qemu", "qemu", "/machine.slice/machine-qemu\\x2dweb.scope");
	is_named("3", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d3.scope");
	is_named("a_", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d3\\x2da\\x07.scope");
	is_named("a\\x2", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d3\\x2da\\x2.scope");
	is_named("qemu-42", "qemu", "qemu", "/machine.slice/machine-fedora.scope");
	is_named("qemu-42", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d.scope");
	is_named("qemu-42", "qemu", "qemu", "/machine.slice/machine-qemu\\x2d3\\x2dweb");
	is_named("qemu-42", "qemu", "qemu", "/.libvirt-qemu");
}

static void test_cloud_hypervisor(void)
{
	is_named("web", "cloud-hypervisor", "ch --api-socket path=/run/ch/web.sock", "/");
	is_named("web", "cloud-hypervisor", "ch --api-socket /run/ch/web.sock", "/");
	is_named("web", "cloud-hypervisor", "ch --api-socket=path=/run/ch/web.sock", "/");
	is_named("web", "cloud-hypervisor", "ch --api-socket /var/run/libvirt/ch/web-socket", "/");
	is_named("1f2e", "cloud-hypervisor", "ch --api-socket /run/vc/vm/1f2e/clh-api.sock", "/");
	is_named("1-2", "cloud-hypervisor", "ch --api-socket fd=3 --platform num_pci_segments=1,uuid=1-2", "/");
	is_named("1-2", "cloud-hypervisor", "ch --api-socket /tmp/cloud-hypervisor.sock --platform system_uuid=1-2", "/");
	is_named("cloud-hypervisor-42", "cloud-hypervisor", "ch --api-socket api.sock", "/");
	is_named("cloud-hypervisor-42", "cloud-hypervisor", "ch --kernel vmlinux --cpus boot=1", "/");
}

static void test_firecracker(void)
{
	is_named("web", "firecracker", "firecracker --id web --start-time-us 1", "/");
	is_named("web", "firecracker", "firecracker --id=web", "/");
	is_named("web", "firecracker", "firecracker --api-sock /run/web.socket --id web", "/");
	is_named("web", "firecracker", "firecracker --api-sock /tmp/web.socket", "/");
	is_named("firecracker-42", "firecracker", "firecracker --api-sock /run/firecracker.socket", "/");
	is_named("firecracker-42", "firecracker", "firecracker --api-sock", "/");
	is_named("firecracker-42", "firecracker", "firecracker --no-api --config-file x", "/");
}

static void test_bad_names(void)
{
	char args[1024] = "qemu -name ", name[OWNER_NAME_MAX];

	is_named("a_b", "qemu", "qemu -name a\nb", "/");
	is_named("a_b", "qemu",
		 "qemu -name a\xff"
		 "b",
		 "/");
	is_named("_other", "qemu", "qemu -name ~other", "/");
	is_named("gr\xc3\xbc\xc3\x9f"
		 "e",
		 "qemu",
		 "qemu -name gr\xc3\xbc\xc3\x9f"
		 "e",
		 "/");
	for (unsigned int shift = 0; shift < 2; shift++) { /* the cut falls on a character's end, or within one */
		struct cmdline c = { .text = args };
		size_t len = (size_t)snprintf(args, sizeof(args), "qemu -name %s", shift ? "x" : "");

		while (len < 600)
			len += (size_t)snprintf(args + len, sizeof(args) - len, "\xc3\xbc");
		args[4] = args[10] = '\0';
		c.len = len + 1;
		vm_name("qemu", &c, "/", 42, name);
		is_u64(180 - shift, strlen(name), "VM names: a long name is cut, with room for a suffix");
		for (len = 0; name[len]; len += utf8_len(name + len) ? utf8_len(name + len) : 1000)
			;
		is_u64(180 - shift, len, "VM names: a long name is cut between characters");
	}
}

static void test_paths(void)
{
	static const struct {
		const char *path, *cut;
	} cases[] = {
		{ "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope/libvirt/emulator",
		  "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope" },
		{ "/machine/qemu-3-web.libvirt-qemu/vcpu0", "/machine/qemu-3-web.libvirt-qemu" },
		{ "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope", "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope" },
		{ "/system.slice/vm.service", "/system.slice/vm.service" },
		{ "/", "/" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[OWNER_PATH_MAX];

		snprintf(path, sizeof(path), "%s", cases[i].path);
		vm_cut_path(path);
		is_str(cases[i].cut, path, named("VMs: the cgroup of a VM in '%s' is '%s'", cases[i].path, cases[i].cut));
	}
}

static void test_same(void)
{
	unsigned int taps[] = { 3, 7, 0 }, equal[] = { 3, 7, 0 }, fewer[] = { 3, 0 };
	struct vm a = { .name = "web", .pid = 1, .start = 2, .taps = taps, .path = "/" }, b = a;

	b.taps = equal;
	ok(vm_same(&a, &b), "VMs: two equal looks at a VM are the same");
	b.taps = fewer;
	ok(!vm_same(&a, &b) && !vm_same(&b, &a), "VMs: a look with another tap differs");
	b.taps = NULL;
	ok(!vm_same(&a, &b) && !vm_same(&b, &a), "VMs: a look without taps differs");
	b = a;
	b.start = 3;
	ok(!vm_same(&a, &b), "VMs: another process of the same number differs");
}

static void count(void *data, int pid)
{
	unsigned int *nr = data;

	*nr += pid == getpid();
}

static void test_proc(void)
{
	unsigned int nr = 0;
	struct vm vm;
	pid_t child = fork();

	if (!child)
		_exit(0);
	ok(vm_look(getpid(), &vm) == -ESRCH, "VMs: a test's process is no VM");
	ok(vm_look(1 << 30, &vm) == -ESRCH, "VMs: a missing process is no VM");
	waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT);
	ok(vm_look(child, &vm) == -ESRCH, "VMs: a zombie is no VM");
	waitpid(child, NULL, 0);
	vm_scan(count, &nr);
	is_u64(0, nr, "VMs: a scan does not find a test's process");
}

int main(void)
{
	test_programs();
	test_qemu();
	test_machines();
	test_cloud_hypervisor();
	test_firecracker();
	test_bad_names();
	test_paths();
	test_same();
	test_proc();
	return done_testing();
}
