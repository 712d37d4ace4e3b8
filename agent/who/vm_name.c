// SPDX-License-Identifier: GPL-2.0
/*
 * The names of VMs, from command lines and cgroups. Any user can run a program that is called qemu-system-x86_64 with
 * any arguments, so nothing in them is trusted.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/who/systemd_unit.h"
#include "agent/lib/utf8.h"
#include "agent/lib/util.h"
#include "agent/who/vm_scan.h"

/* Leaves room for ":PID" and, before it, "user@4294967295/". */
#define NAME_MAX_LEN (OWNER_NAME_MAX - 12 - 16)

static const struct {
	const char *file, *vmm;
	bool prefix; /* qemu-system-x86_64; releases are called cloud-hypervisor-static, firecracker-v1.9.0-x86_64 */
} known[] = {
	{ "qemu-system-", "qemu", true },
	{ "qemu-kvm", "qemu", false },
	{ "kvm", "qemu", false },
	{ "cloud-hypervisor", "cloud-hypervisor", true },
	{ "firecracker", "firecracker", true },
};

const char *vm_vmm_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].vmm))
			return known[i].vmm;
	return NULL;
}

/* The kernel keeps 15 characters of a program's name. */
const char *vm_vmm_of_comm(const char *comm)
{
	return strcmp(comm, "cloud-hyperviso") ? vm_vmm(comm) : "cloud-hypervisor";
}

const char *vm_vmm(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *file = slash ? slash + 1 : program;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].prefix ? !strncmp(file, known[i].file, strlen(known[i].file)) : !strcmp(file, known[i].file))
			return known[i].vmm;
	return NULL;
}

/* ---- arguments ---- */

static const char *next_arg(const struct cmdline *c, const char *arg)
{
	arg += strlen(arg) + 1;
	return arg < c->text + c->len ? arg : NULL;
}

/* What follows "--@name" or "-@name" in @arg: "" or "=value"; NULL if @arg is something else. */
static const char *after_option(const char *arg, const char *name)
{
	size_t len = strlen(name);

	if (*arg++ != '-')
		return NULL;
	arg += *arg == '-';
	return !strncmp(arg, name, len) && (!arg[len] || arg[len] == '=') ? arg + len : NULL;
}

bool vm_cmdline_has(const struct cmdline *c, const char *name)
{
	/* argv[0] is a name, not an option */
	for (const char *arg = c->len ? next_arg(c, c->text) : NULL; arg; arg = next_arg(c, arg)) {
		const char *rest = after_option(arg, name);

		if (rest && !*rest)
			return true;
	}
	return false;
}

/* The value of the next option @name behind @arg, "--name value" or "--name=value"; NULL if there is none. */
static const char *next_value(const struct cmdline *c, const char *arg, const char *name)
{
	while ((arg = next_arg(c, arg))) {
		const char *rest = after_option(arg, name);

		if (rest)
			return *rest ? rest + 1 : next_arg(c, arg);
	}
	return NULL;
}

/* Copies @value up to a comma that stands alone; two stand for one (QEMU). Returns where it ended. */
static const char *copy_value(const char *value, char *ret, size_t size)
{
	size_t len = 0;

	for (; *value && (*value != ',' || value[1] == ','); value++) {
		value += *value == ',';
		if (len < size - 1)
			ret[len++] = *value;
	}
	ret[len] = '\0';
	return value;
}

/* @key of "a=1,key=value,…"; @implied: a first value without a key is its own. */
static bool find_key(const char *list, const char *key, bool implied, char *ret, size_t size)
{
	size_t len = strlen(key);
	const char *end;

	for (; *list; list = *end ? end + 1 : end) {
		size_t word = strcspn(list, "=,");
		bool has_key = list[word] == '=';
		bool mine = has_key ? word == len && !strncmp(list, key, len) : implied;

		end = copy_value(has_key ? list + word + 1 : list, ret, mine ? size : 1);
		if (mine && *ret)
			return true;
		implied = false;
	}
	return false;
}

/* ---- cgroups of libvirt ---- */

static bool is_machine(const char *name, size_t len)
{
	static const char *const begins[] = { "machine-qemu\\x2d", "machine-ch\\x2d" };
	static const char *const ends[] = { ".libvirt-qemu", ".libvirt-ch" }; /* without systemd */

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (len > 6 && !strncmp(name, begins[i], strlen(begins[i])) && !strncmp(name + len - 6, ".scope", 6))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (len > strlen(ends[i]) && !strncmp(name + len - strlen(ends[i]), ends[i], strlen(ends[i])))
			return true;
	return false;
}

/*
 * Slices, and libvirt's partitions where it goes without systemd, are made by root. Below a scope its processes may make what
 * they like, and anywhere else anything may be called so.
 */
bool vm_is_in_machine(const char *path)
{
	bool slices = !strncmp(path, "/machine.slice/", 15);

	if (!slices && strncmp(path, "/machine/", 9))
		return false;
	for (path += slices ? 15 : 9; *path; path += *path == '/') {
		size_t len = strcspn(path, "/");
		const char *end = slices ? ".slice" : ".partition";

		if (is_machine(path, len))
			return slices == !strncmp(path, "machine-", 8);
		if (len <= strlen(end) || strncmp(path + len - strlen(end), end, strlen(end)))
			return false;
		path += len;
	}
	return false;
}

/* The part of @path that is the cgroup of one VM; NULL if there is none. */
static const char *find_machine(const char *path, size_t *ret_len)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (is_machine(path, len)) {
			*ret_len = len;
			return path;
		}
		path += len;
		path += *path == '/';
	}
	return NULL;
}

void vm_cut_path(char *path)
{
	size_t len = 0;
	const char *machine = find_machine(path, &len);

	if (machine)
		path[machine - path + (ptrdiff_t)len] = '\0';
}

/* machine-qemu\x2d3\x2dweb.scope and qemu-3-web.libvirt-qemu are web: driver and number in front are libvirt's. */
static bool name_of_machine(const char *path, char *ret, size_t size)
{
	size_t len = 0, digits;
	const char *machine = find_machine(path, &len), *name;

	if (!machine || len >= size)
		return false;
	memcpy(ret, machine, len);
	ret[len] = '\0';
	*strrchr(ret, '.') = '\0';
	systemd_unit_unescape(ret);
	name = strncmp(ret, "machine-", 8) ? ret : ret + 8;
	if (!strncmp(name, "qemu-", 5) || !strncmp(name, "ch-", 3))
		name = strchr(name, '-') + 1;
	digits = strspn(name, "0123456789");
	if (digits && name[digits] == '-' && name[digits + 1])
		name += digits + 1;
	memmove(ret, name, strlen(name) + 1);
	return *ret;
}

/* ---- names ---- */

static bool is_one_of(const char *word, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* /run/ch/web.sock and /run/libvirt/ch/web-socket are web, and so is /run/vm/web/api.sock, as api tells nothing. */
static bool name_of_socket(char *path, char *ret, size_t size)
{
	static const char *const generic[] = { "api",	 "clh-api", "ch", "cloud-hypervisor", "firecracker", "fc",
					       "socket", "sock",    "vmm" };
	static const char *const folders[] = { "", "run", "tmp", "root", "ch", "cloud-hypervisor", "firecracker" };
	static const char *const ends[] = { ".sock", ".socket", "-socket" };
	char *file = strrchr(path, '/'), *folder;

	file = file ? file + 1 : path;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t len = strlen(file), end = strlen(ends[i]);

		if (len > end && !strcmp(file + len - end, ends[i]))
			file[len - end] = '\0';
	}
	if (is_one_of(file, generic, ARRAY_SIZE(generic))) {
		if (file == path)
			return false;
		file[-1] = '\0';
		folder = strrchr(path, '/');
		file = folder ? folder + 1 : path;
		if (is_one_of(file, folders, ARRAY_SIZE(folders)))
			return false;
	}
	snprintf(ret, size, "%s", file);
	return *ret;
}

/* @key of an option that may be given more than once: the last one holds. */
static bool find_last(const struct cmdline *c, const char *option, const char *key, bool implied, char *ret, size_t size)
{
	const char *value = c->text;
	char text[OWNER_PATH_MAX];
	bool found = false;

	while ((value = next_value(c, value, option))) {
		if (!find_key(value, key, implied, text, sizeof(text)))
			continue;
		snprintf(ret, size, "%s", text);
		found = true;
	}
	return found;
}

static bool qemu_name(const struct cmdline *c, char *ret, size_t size)
{
	return find_last(c, "name", "guest", true, ret, size) || find_last(c, "uuid", "", true, ret, size) ||
	       find_last(c, "smbios", "uuid", false, ret, size);
}

static bool cloud_hypervisor_name(const struct cmdline *c, char *ret, size_t size)
{
	char path[OWNER_PATH_MAX];

	if (find_last(c, "api-socket", "path", true, path, sizeof(path)) && name_of_socket(path, ret, size))
		return true;
	return find_last(c, "platform", "uuid", false, ret, size) || find_last(c, "platform", "system_uuid", false, ret, size);
}

static bool firecracker_name(const struct cmdline *c, char *ret, size_t size)
{
	const char *id = c->len ? next_value(c, c->text, "id") : NULL;
	char path[OWNER_PATH_MAX];

	if (id && *id) {
		snprintf(ret, size, "%s", id);
		return true;
	}
	id = c->len ? next_value(c, c->text, "api-sock") : NULL;
	if (!id)
		return false;
	snprintf(path, sizeof(path), "%s", id);
	return name_of_socket(path, ret, size);
}

static bool name_of_command(const char *vmm, const struct cmdline *c, char *ret, size_t size)
{
	if (!c->len)
		return false;
	if (!strcmp(vmm, "qemu"))
		return qemu_name(c, ret, size);
	return !strcmp(vmm, "cloud-hypervisor") ? cloud_hypervisor_name(c, ret, size) : firecracker_name(c, ret, size);
}

#define MACHINE_CUT 40 /* bytes: systemd cuts a machine's name at 64, libvirt's driver and number included */

/* May @name be what libvirt made the machine's name @machine of? It leaves out what is in no host name, and long ones are cut.
 */
static bool is_whole_of(const char *name, const char *machine)
{
	size_t len = strlen(machine);

	for (;; name++, machine++) {
		while (*name && !isalnum((unsigned char)*name))
			name++;
		while (*machine && !isalnum((unsigned char)*machine))
			machine++;
		if (!*machine)
			return !*name || len >= MACHINE_CUT;
		if (*name != *machine)
			return false;
	}
}

/*
 * In a cgroup that only libvirt and machined make, that tells the name: a process can change its command line, and start
 * others there, which would have any VM's name by it.
 */
static bool find_name(const char *vmm, const struct cmdline *c, const char *path, char *ret, size_t size)
{
	char machine[OWNER_PATH_MAX];
	bool found = name_of_command(vmm, c, ret, size), in_machine = name_of_machine(path, machine, sizeof(machine));

	if (in_machine && (!found || (vm_is_in_machine(path) && !is_whole_of(ret, machine)))) {
		snprintf(ret, size, "%s", machine);
		found = true;
	}
	return found;
}

/* A leading ~ marks names that are not a VM's, such as ~other. */
static void clean_copy(const char *raw, char *ret)
{
	size_t len, to = 0;

	for (; *raw; raw += len ? len : 1) {
		len = utf8_len(raw);
		if (to + (len ? len : 1) > NAME_MAX_LEN)
			break;
		if (!len || utf8_is_control(raw) || (*raw == '~' && !to))
			ret[to++] = '_';
		else
			to = (size_t)((char *)mempcpy(ret + to, raw, len) - ret);
	}
	ret[to] = '\0';
}

void vm_name(const char *vmm, const struct cmdline *c, const char *path, int pid, char *ret)
{
	char raw[OWNER_PATH_MAX];

	if (find_name(vmm, c, path, raw, sizeof(raw)))
		clean_copy(raw, ret);
	else
		snprintf(ret, OWNER_NAME_MAX, "%s-%d", vmm, pid);
}
