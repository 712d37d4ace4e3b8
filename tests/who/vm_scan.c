// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* The names of VMs, from command lines and cgroups, and the search of /proc on this test itself. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/lib/utf8.h"
#include "agent/lib/util.h"
#include "agent/who/vm_proc.h"
#include "agent/who/vm_scan.h"
#include "agent/who/vouch.h"
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

#define LONG "a0123456789b0123456789c0123456789d0123456789e012345"

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
	is_named("web", "qemu", "qemu -name web -uuid 1-2", "/");
	is_named("1-2", "qemu", "qemu -name debug-threads=on -uuid 1-2", "/");
	is_named("1-2", "qemu", "qemu -smbios type=1,manufacturer=a,,b,uuid=1-2", "/");
	is_named("web-1", "qemu", "qemu -name db", scope); /* its cgroup is libvirt's word, its arguments are its own */
	is_named("web-1", "qemu", "qemu -uuid 1-2", scope);
	is_named("web-1", "qemu", "qemu -name web-11", scope);
	is_named("web-1", "qemu", "qemu -name web", scope);
	is_named("web_1", "qemu", "qemu -name web_1", scope); /* what libvirt leaves out of a machine's name */
	is_named(LONG "-tail", "qemu", "qemu -name " LONG "-tail",
		 "/machine.slice/machine-qemu\\x2d3\\x2d" LONG ".scope"); /* cut */
	is_named("db", "qemu", "qemu -name db", "/user.slice/machine-qemu\\x2d3\\x2dweb.scope"); /* not libvirt's */
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
		is_u64(164 - shift, strlen(name), "VM names: a long name is cut, with room for a suffix");
		for (len = 0; name[len]; len += utf8_len(name + len) ? utf8_len(name + len) : 1000)
			;
		is_u64(164 - shift, len, "VM names: a long name is cut between characters");
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

static void test_machine_paths(void)
{
	static const struct {
		const char *path;
		bool is;
	} cases[] = {
		{ "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope", true },
		{ "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope/libvirt/emulator", true },
		{ "/machine.slice/machine-production.slice/machine-qemu\\x2d3\\x2dweb.scope", true },
		{ "/machine/qemu-3-web.libvirt-qemu", true },
		{ "/machine/production.partition/qemu-3-web.libvirt-qemu/vcpu0", true },
		{ "/machine.slice/machine-fedora.scope/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/machine.slice/qemu-3-web.libvirt-qemu", false },
		{ "/machine/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/user.slice/user-1000.slice/machine.slice/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/user.slice/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/machine.slice/evil/machine-qemu\\x2d3\\x2dweb.scope", false },
		{ "/machine.slice", false },
		{ "/machine.slice/", false },
		{ "/", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ok(vm_is_in_machine(cases[i].path) == cases[i].is, "VMs: cgroup %s is %s", cases[i].path,
		   cases[i].is ? "libvirt's" : "not libvirt's");
}

/* ---- which VMs policy may name ---- */

static void is_vouched(bool expected, const struct vm_process *one, const char *what)
{
	char *cgroups[] = { "/lab.slice", "/test-*" };
	const struct vouch v = { .uids = { 64055 }, .nr_uids = 1, .cgroups = cgroups, .nr_cgroups = 2 };

	ok(vouch_for(&v, one) == expected, "VMs: %s is %svouched for", what, expected ? "" : "not ");
}

static void test_vouch(void)
{
	struct vm_process root = { .one_uid = 1, .ours = 1, .path = "/user.slice/user-0.slice/session-1.scope" }, one = root;

	is_vouched(true, &one, "root's VM");
	one.uid = 1000;
	is_vouched(false, &one, "a user's VM");
	one.uid = 64055;
	is_vouched(true, &one, "a VM of a user in agent.vmm.users");
	one.one_uid = 0;
	is_vouched(false, &one, "a VM of a user in agent.vmm.users that has another effective user");
	one = root;
	one.one_uid = 0;
	is_vouched(false, &one, "a VM whose real user is root, and whose effective user is not");
	one = root;
	one.ours = 0;
	is_vouched(false, &one, "a VM of root's in another PID or user namespace");
	strcpy(one.path, "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope");
	is_vouched(true, &one, "libvirt's VM");
	one = root;
	strcpy(one.path, "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	is_vouched(false, &one, "a VM of root's in a container");
	one.uid = 1000;
	strcpy(one.path, "/lab.slice/vm.scope");
	is_vouched(true, &one, "a VM below a cgroup in agent.vmm.cgroups");
	strcpy(one.path, "/lab.slices");
	is_vouched(false, &one, "a VM beside a cgroup in agent.vmm.cgroups");
	strcpy(one.path, "/test-1");
	is_vouched(true, &one, "a VM in a cgroup that agent.vmm.cgroups matches");
	strcpy(one.path, "/user.slice/user-1000.slice/lab.slice");
	is_vouched(false, &one, "a VM in a user's cgroup that is called as one in agent.vmm.cgroups");
}

static void test_status(void)
{
	struct vm_status st;

	ok(!vm_parse_status("Name:\ta\\nUid:\nTgid:\t7\nUid:\t5\t5\t5\t5\nNSpid:\t7\n", &st) && st.uid == 5 && st.one_uid &&
		   st.our_pids && st.tgid == 7,
	   "VMs: the user of a process is read");
	ok(!vm_parse_status("Name:\tx\nTgid:\t7\nUid:\t5\t0\t5\t5\nNSpid:\t7\t1\n", &st) && !st.one_uid && !st.our_pids,
	   "VMs: a process with two users, and one in a PID namespace, is read");
	ok(vm_parse_status("Name:\tx\nTgid:\t7\n", &st) == -ESRCH, "VMs: a status without a user is none");
}

static void count(void *data, const struct vm_process *one)
{
	unsigned int *nr = data;

	*nr += one->pid == getpid();
}

static void test_proc(void)
{
	struct vm_process process;
	unsigned int nr = 0;
	struct vm_look vm;
	pid_t child = fork();

	if (!child)
		_exit(0);
	ok(vm_identify(getpid(), &process) == -ESRCH, "VMs: a test's process is no VM");
	ok(vm_look(getpid(), 1, false, &vm) == -ESRCH, "VMs: a test's process is not looked at as a VM");
	ok(vm_identify(1 << 30, &process) == -ESRCH, "VMs: a missing process is no VM");
	waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT);
	ok(vm_identify(child, &process) == -ESRCH, "VMs: a zombie is no VM");
	waitpid(child, NULL, 0);
	vm_scan(&(struct vm_found){ count, NULL, &nr });
	is_u64(0, nr, "VMs: a scan does not find a test's process");
}

/* ---- a VM whose user has many groups ---- */

static void copy(const char *from, const char *to)
{
	_close_ int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
}

/* Returns once the program runs. */
static pid_t start_with_groups(const char *program)
{
	static gid_t groups[2000];
	int started[2];
	pid_t pid;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		groups[i] = 1000000000 + (gid_t)i;
	if (pipe2(started, O_CLOEXEC))
		exit(1);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!setgroups(ARRAY_SIZE(groups), groups))
			execl(program, program, "100", NULL);
		_exit(1);
	}
	close(started[1]);
	(void)!read(started[0], &(char){ 0 }, 1);
	close(started[0]);
	return pid;
}

static void test_groups(void)
{
	char dir[] = "/tmp/vm_scan.XXXXXX", program[64];
	struct vm_process process;
	pid_t pid;

	if (geteuid() || !mkdtemp(dir)) {
		ok(true, "VMs: a process with 2000 groups # SKIP setgroups() needs root");
		return;
	}
	snprintf(program, sizeof(program), "%s/qemu-system-x86_64", dir);
	copy("/bin/sleep", program);
	pid = start_with_groups(program);
	is_u64(0, (uint64_t)-vm_identify(pid, &process), "VMs: a process with 2000 groups is found");
	ok(process.one_uid && !process.uid && process.ours,
	   "VMs: a process with 2000 groups is known as root's, and as the host's");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(program);
	rmdir(dir);
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
	test_machine_paths();
	test_vouch();
	test_status();
	test_proc();
	test_groups();
	return done_testing();
}
