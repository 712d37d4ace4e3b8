// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 30, lane: free
 * Names of containers: every form of path that runtimes make on cgroup v1, hybrid and v2 hosts, with records as they
 * write them in a tree that stands for /, without, and with odd ones. Built with sanitizers.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/who/container_name.h"
#include "agent/who/runtime_records.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

/* Ids of 64 digits, told apart by their first. */
#define REST "123456789ab0123456789abcdef0123456789abcdef0123456789abcdef0123"
#define DOCKER "d" REST
#define PODMAN "a" REST
#define VOLATILE "b" REST
#define KUBE "c" REST
#define SANDBOX "e" REST
#define CRIO "f" REST
#define NERD "1" REST
#define ROOTLESS "2" REST
#define BARE "3" REST
#define NONE "9" REST
#define SHORT "123456789ab"
#define POD "pod5c3b9a9e-8f0d-4c83-a9a5-6f1f7ad54b21"
#define SLICE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5c3b.slice"
#define USER "/user.slice/user-1000.slice/user@1000.service"

static char root[] = "/tmp/nestor-test.XXXXXX";

static void make_folders(const char *path)
{
	char part[512];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdir(part, 0755);
	}
}

/* Where @path is below the root that the tests use. */
static const char *at(const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static void put_bytes(const char *path, const char *text, size_t len)
{
	int fd;

	make_folders(at(path));
	fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

#define DOCKER_DIR "/var/lib/docker/containers/"
#define STORAGE "/storage/overlay-containers/"
#define TASKS "/run/containerd/io.containerd.runtime.v2.task/"

static void put_records(void)
{
	put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n");
	put(DOCKER_DIR DOCKER "/config.v2.json", "{\"StreamConfig\":{},\"ID\":\"" DOCKER "\",\"Name\":\"/web\"}");
	put(DOCKER_DIR BARE "/config.v2.json", "{\"Name\":\"/task\"}");
	put("/home/u/.local/share/docker/containers/" ROOTLESS "/config.v2.json", "{\"Name\":\"/web\"}");
	put("/var/lib/containers" STORAGE "containers.json",
	    "[{\"id\":\"" NONE "0\",\"names\":[\"other\"]},{\"id\":\"" PODMAN
	    "\",\"names\":[\"db\"],\"image\":\"\",\"layer\":\"l\","
	    "\"metadata\":\"{\\\"name\\\":\\\"x\\\"}\"},{\"id\":\"" NONE "1\"}]");
	put("/var/lib/containers" STORAGE "volatile-containers.json", "[{\"id\":\"" VOLATILE "\",\"names\":[\"job\"]}]");
	put("/home/u/.local/share/containers" STORAGE "containers.json", "[{\"id\":\"" ROOTLESS "\",\"names\":[\"web\"]}]");
	put(TASKS "k8s.io/" KUBE "/config.json",
	    "{\"ociVersion\":\"1.0.2\",\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
	    "\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX "\","
	    "\"io.kubernetes.cri.sandbox-name\":\"shop-0\",\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}");
	put(TASKS "k8s.io/" SANDBOX "/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-name\":\"shop-0\","
	    "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}");
	put(TASKS "default/" NERD "/config.json", "{\"annotations\":{\"nerdctl/name\":\"nerd\"}}");
	put(TASKS "batch/by-ctr/config.json", "{\"ociVersion\":\"1.0.2\"}");
	put("/run/containers" STORAGE CRIO "/userdata/config.json",
	    "{\"annotations\":{\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.cri-o.ContainerType\":\"container\","
	    "\"io.kubernetes.pod.name\":\"shop-1\",\"io.kubernetes.pod.namespace\":\"prod\"}}");
	put("/run/runc/rc1/state.json", "{\"id\":\"rc1\",\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory/some/where/rc1\","
					"\"cpu\":\"/sys/fs/cgroup/cpu/rc1\"}}");
	put("/run/crun/cr1/status", "{\"pid\":1,\"cgroup-path\":\"/cr1\"}");
}

struct expected {
	const char *path, *name, *runtime, *short_id;
	const char *own; /* the container's path; NULL: all of it */
	bool asked_again;
};

/* @path with its long ids cut. */
static const char *short_path(const char *path)
{
	static char text[512];
	char *rest;

	snprintf(text, sizeof(text), "%s", path);
	while ((rest = strstr(text, REST)))
		memmove(rest, rest + strlen(REST), strlen(rest + strlen(REST)) + 1);
	return text;
}

static void check(const struct expected *e)
{
	const char *path = short_path(e->path);
	struct container_name n;

	container_name(root, e->path, NULL, &n);
	is_str(e->name, n.name, named("container names: %s is %.40s", path, e->name));
	is_str(e->runtime, n.runtime, named("container names: %s has its runtime", path));
	is_str(e->short_id, n.short_id, named("container names: %s has its id", path));
	is_str(e->own ?: e->path, n.path, named("container names: %s has its cgroup", path));
	ok(n.final == !e->asked_again, "container names: %s is %s", path, e->asked_again ? "looked up again" : "final");
}

#define CHECK_ALL(list)                                                                                                        \
	for (size_t i_ = 0; i_ < ARRAY_SIZE(list); i_++) {                                                                     \
		check(&(list)[i_]);                                                                                            \
	}

static void test_docker(void)
{
	static const struct expected list[] = {
		{ "/docker/" DOCKER, "web", "docker", "d" SHORT, NULL, false },
		{ "/system.slice/docker-" DOCKER ".scope", "web", "docker", "d" SHORT, NULL, false },
		{ "/system.slice/docker.service/docker/" DOCKER, "web", "docker", "d" SHORT, NULL, false },
		{ "/system.slice:docker:" DOCKER, "web", "docker", "d" SHORT, NULL, false },
		{ "/docker/" DOCKER "/init.scope", "web", "docker", "d" SHORT, "/docker/" DOCKER, false },
		{ "/docker/" DOCKER "/docker/" BARE, "web", "docker", "d" SHORT, "/docker/" DOCKER, false },
		{ "/docker/" DOCKER "/system.slice/ssh.service", "web", "docker", "d" SHORT, "/docker/" DOCKER, false },
		{ "/ecs/4711/" BARE, "task", "docker", "3" SHORT, NULL, false },
		{ "/docker/" NONE, "9" SHORT, "docker", "9" SHORT, NULL, true },
		{ "/some/" NONE "/x", "9" SHORT, "path", "9" SHORT, "/some/" NONE, true },
		{ "/docker", "/docker", "path", "", NULL, true },
		{ "/docker/" REST, "/docker/" REST, "path", "", NULL, true }, /* a digit is missing */
	};

	CHECK_ALL(list);
}

static void test_podman(void)
{
	static const struct expected list[] = {
		{ "/libpod_parent/libpod-" PODMAN, "db", "podman", "a" SHORT, NULL, false },
		{ "/machine.slice/libpod-" PODMAN ".scope", "db", "podman", "a" SHORT, NULL, false },
		{ "/machine.slice/libpod-" PODMAN ".scope/container", "db", "podman", "a" SHORT,
		  "/machine.slice/libpod-" PODMAN ".scope", false },
		{ "/machine.slice/libpod-" VOLATILE ".scope", "job", "podman", "b" SHORT, NULL, false },
		{ "/machine.slice/machine-libpod_pod_" NONE ".slice/libpod-" PODMAN ".scope", "db", "podman", "a" SHORT, NULL,
		  false },
		{ "/libpod_parent/" NONE "/libpod-" PODMAN, "db", "podman", "a" SHORT, NULL, false },
		{ "/libpod_parent/" NONE, "9" SHORT, "podman", "9" SHORT, NULL, false }, /* the pod */
		{ "/machine.slice/libpod-conmon-" PODMAN ".scope", "libpod-conmon-" PODMAN ".scope", "systemd", "", NULL,
		  false },
		{ "/libpod_parent/conmon", "/libpod_parent/conmon", "path", "", NULL, true },
		{ "/machine.slice/libpod-" NONE ".scope", "9" SHORT, "podman", "9" SHORT, NULL, true },
	};

	CHECK_ALL(list);
}

static void test_kubernetes(void)
{
	static const struct expected list[] = {
		{ SLICE "/cri-containerd-" KUBE ".scope", "prod/shop-0/app", "containerd", "c" SHORT, NULL, false },
		{ "/kubepods/burstable/" POD "/" KUBE, "prod/shop-0/app", "containerd", "c" SHORT, NULL, false },
		{ "/kubepods/" POD "/" KUBE "/inner", "prod/shop-0/app", "containerd", "c" SHORT, "/kubepods/" POD "/" KUBE,
		  false },
		{ "/system.slice/containerd.service/kubepods-burstable-pod5c3b.slice:cri-containerd:" KUBE, "prod/shop-0/app",
		  "containerd", "c" SHORT, NULL, false },
		{ SLICE "/cri-containerd-" SANDBOX ".scope", "prod/shop-0/POD", "containerd", "e" SHORT, NULL, false },
		{ "/kubepods/besteffort/" POD "/" DOCKER, "web", "docker", "d" SHORT, NULL, false },
		{ "/kubepods/besteffort/" POD "/" NONE, "9" SHORT, "containerd", "9" SHORT, NULL, true },
		{ SLICE "/crio-" CRIO ".scope", "prod/shop-1/app", "crio", "f" SHORT, NULL, false },
		{ SLICE "/crio-" CRIO ".scope/container", "prod/shop-1/app", "crio", "f" SHORT, SLICE "/crio-" CRIO ".scope",
		  false },
		{ "/kubepods/burstable/" POD "/crio-" CRIO, "prod/shop-1/app", "crio", "f" SHORT, NULL, false },
		{ SLICE "/crio-conmon-" CRIO ".scope", "crio-conmon-" CRIO ".scope", "systemd", "", NULL, false },
		{ SLICE, "kubepods-burstable-pod5c3b.slice", "systemd", "", NULL, false },
		{ "/system.slice/nerdctl-" NERD ".scope", "nerd", "containerd", "1" SHORT, NULL, false },
		{ "/default/" NERD, "nerd", "containerd", "1" SHORT, NULL, false },
		{ "/batch/by-ctr", "by-ctr", "containerd", "", NULL, false },
	};

	CHECK_ALL(list);
}

static void test_others(void)
{
	static const struct expected list[] = {
		{ "/rc1", "rc1", "runc", "", NULL, false },
		{ "/some/where/rc1/x", "rc1", "runc", "", "/some/where/rc1", false },
		{ "/else/where/rc1", "/else/where/rc1", "path", "", NULL, true }, /* another's that is called so */
		{ "/c1", "/c1", "path", "", NULL, true }, /* a record's path ends so */
		{ "/system.slice/runc-build.1.scope", "build.1", "runc", "", NULL, false },
		{ "/cr1", "cr1", "crun", "", NULL, false },
		{ "/system.slice/crun-cr2.scope/container", "cr2", "crun", "", "/system.slice/crun-cr2.scope", false },
		{ "/runc-tools", "/runc-tools", "path", "", NULL, true },
		{ "/lxc.payload.mail/system.slice/x.service", "mail", "lxc", "", "/lxc.payload.mail", false },
		{ "/lxc/mail", "mail", "lxc", "", NULL, false },
		{ "/lxc.monitor.mail", "/lxc.monitor.mail", "path", "", NULL, true },
		{ "/machine.slice/machine-my\\x2dbox.scope/payload", "my-box", "nspawn", "",
		  "/machine.slice/machine-my\\x2dbox.scope", false },
		{ "/machine.slice/systemd-nspawn@my\\x2dbox.service/payload/init.scope", "my-box", "nspawn", "",
		  "/machine.slice/systemd-nspawn@my\\x2dbox.service", false },
		{ "/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d1.scope/libvirt/emulator", "web-1", "libvirt", "",
		  "/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d1.scope", false },
		{ "/machine/qemu-3-web-1.libvirt-qemu", "web-1", "libvirt", "", NULL, false },
	};

	CHECK_ALL(list);
}

static void test_systemd(void)
{
	static const struct expected list[] = {
		{ "/", "/", "path", "", NULL, false },
		{ "/system.slice/cron.service", "cron.service", "systemd", "", NULL, false },
		{ "/system.slice/a.service/b.service", "a.service", "systemd", "", "/system.slice/a.service", false },
		{ "/system.slice/udev.service/worker", "udev.service", "systemd", "", "/system.slice/udev.service", true },
		{ "/init.scope", "init.scope", "systemd", "", NULL, false },
		{ "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "systemd", "", NULL, false },
		{ USER "/app.slice/x.service", "user@1000.service/x.service", "systemd", "", NULL, false },
		{ USER "/app.slice/x.service/deep", "user@1000.service/x.service", "systemd", "", USER "/app.slice/x.service",
		  false },
		{ USER "/app.slice", "user@1000.service", "systemd", "", USER, false },
		{ "/system.slice", "system.slice", "systemd", "", NULL, false },
		{ "/a.slice/a-b.slice", "a-b.slice", "systemd", "", NULL, false },
		{ "/system.slice/x", "/system.slice/x", "path", "", NULL, true },
		{ "/.service", "/.service", "path", "", NULL, true },
	};

	CHECK_ALL(list);
}

/* A user's containers are told from the system's, and he has no way to count for those. */
static void test_users(void)
{
	static const struct expected list[] = {
		{ USER "/user.slice/libpod-" ROOTLESS ".scope/container", "user@1000/web", "podman", "2" SHORT,
		  USER "/user.slice/libpod-" ROOTLESS ".scope", false },
		{ USER "/user.slice/docker-" ROOTLESS ".scope", "user@1000/web", "docker", "2" SHORT, NULL, false },
		{ USER "/user.slice/docker-" DOCKER ".scope", "user@1000/d" SHORT, "docker", "d" SHORT, NULL, true },
		{ USER "/user.slice/libpod-" PODMAN ".scope", "user@1000/a" SHORT, "podman", "a" SHORT, NULL, true },
		{ USER "/lxc.payload.mail", "user@1000/mail", "lxc", "", NULL, false },
		{ USER "/some/where/rc1", "user@1000.service", "systemd", "", USER, false },
		{ "/user.slice/user-0.slice/user@0.service/user.slice/libpod-" PODMAN ".scope", "db", "podman", "a" SHORT, NULL,
		  false },
	};

	CHECK_ALL(list);
}

/* A service with User= and Delegate=: its cgroup is the user's, who makes the others in it. */
static void test_delegated(void)
{
#define SERVICE "/system.slice/ci.service"
	static const struct {
		const char *path, *name, *own;
		struct cgroup_user user;
	} list[] = {
		{ SERVICE, "ci.service", NULL, { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/worker", "ci.service", SERVICE, { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/crun-mail.scope", "user@1000/mail", NULL, { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/a/crun-mail.scope/b",
		  "user@1000/mail",
		  SERVICE "/a/crun-mail.scope",
		  { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/docker-" DOCKER ".scope", "user@1000/d" SHORT, NULL, { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/docker-" ROOTLESS ".scope", "user@1000/web", NULL, { 1000, sizeof(SERVICE) - 1 } },
		{ SERVICE "/user-7.slice/crun-mail.scope", "user@1000/mail", NULL, { 1000, sizeof(SERVICE) - 1 } },
		{ "/a/default/" NERD, "user@1000/1" SHORT, NULL, { 1000, 2 } },
		{ "/a/batch/by-ctr", "/a/batch/by-ctr", NULL, { 1000, 2 } },
		{ "/a/cron.service", "user@1000/cron.service", NULL, { 1000, 2 } },
		{ "/a.slice/system.slice", "user@1000/system.slice", NULL, { 1000, 8 } },
		{ "/a/user@7.service/b.service", "user@1000/user@7.service", "/a/user@7.service", { 1000, 2 } },
		{ USER "/app.slice/x.service", "user@1000.service/x.service", NULL, { 1000, sizeof(USER) - 1 } },
		{ USER "/crun-mail.scope", "user@1000/mail", NULL, { 1000, sizeof(USER) - 1 } },
		/* A runtime gives a container's own cgroup to the root of its user namespace. */
		{ "/docker/" DOCKER "/crun-mail.scope", "web", "/docker/" DOCKER, { 100000, sizeof("/docker/" DOCKER) - 1 } },
		{ "/rc1/docker-" DOCKER ".scope", "rc1", "/rc1", { 100000, 4 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		const char *path = short_path(list[i].path);
		struct container_name n;

		container_name(root, list[i].path, &list[i].user, &n);
		is_str(list[i].name, n.name, named("container names: %s in a user's directory is %.40s", path, list[i].name));
		is_str(list[i].own ?: list[i].path, n.path,
		       named("container names: %s in a user's directory has its cgroup", path));
	}
}

static bool is_utf8(const char *text)
{
	json_t *json = json_string(text);
	bool valid = json != NULL;

	json_decref(json);
	return valid;
}

static void name_of(const char *record, char *ret_name)
{
	struct container_name n;

	put(DOCKER_DIR NONE "/config.v2.json", record);
	container_name(root, "/docker/" NONE, NULL, &n);
	memcpy(ret_name, n.name, sizeof(n.name));
}

/* Names are other people's bytes. */
static void test_odd_names(void)
{
	static const struct {
		const char *record, *name;
	} list[] = {
		{ "{\"Name\":\"/a\\nb\\u0007\\u007f\\u0085c\"}", "abc" },
		{ "{\"Name\":\"/gr\xc3\xbc\xc3\x9f\"}", "gr\xc3\xbc\xc3\x9f" },
		{ "{\"Name\":\"\"}", "9" SHORT },
		{ "{\"Name\":\"/\\n\"}", "9" SHORT },
		{ "{\"Name\":[1]}", "9" SHORT },
		{ "{\"Name\":\"/a\\u0000b\"}", "9" SHORT },
		{ "{\"Name\":\"/a\xff\"}", "9" SHORT },
		{ "{\"Name\":\"/a\"", "9" SHORT },
		{ "[]", "9" SHORT },
		{ "7", "9" SHORT },
		{ "", "9" SHORT },
	};
	char name[OWNER_NAME_MAX], record[1024] = "{\"Name\":\"/a";

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		name_of(list[i].record, name);
		is_str(list[i].name, name, named("container names: the record '%s' is read", list[i].record));
	}
	for (size_t i = 0; i < 100; i++)
		strcat(record, "\xe2\x82\xac");
	strcat(record, "\"}");
	name_of(record, name);
	ok(strlen(name) == 190 && is_utf8(name), "container names: a long name is cut between characters");
}

static void test_odd_files(void)
{
	struct container_name n;
	_free_ char *large = calloc(1, 2 << 20);

	if (!large)
		return;
	unlink(at(DOCKER_DIR NONE "/config.v2.json"));
	put("/elsewhere", "{\"Name\":\"/stolen\"}");
	ok(!symlink("../../../../../elsewhere", at(DOCKER_DIR NONE "/config.v2.json")), "(a record is a symbolic link)");
	container_name(root, "/docker/" NONE, NULL, &n);
	is_str("9" SHORT, n.name, "container names: a record that is a symbolic link is not followed");

	unlink(at(DOCKER_DIR NONE "/config.v2.json"));
	ok(!mkfifo(at(DOCKER_DIR NONE "/config.v2.json"), 0600), "(a record is a pipe)");
	container_name(root, "/docker/" NONE, NULL, &n);
	is_str("9" SHORT, n.name, "container names: a record that is a pipe is not waited for");

	unlink(at(DOCKER_DIR NONE "/config.v2.json"));
	snprintf(large, 2 << 20, "{\"Name\":\"/a\"}%*s", (2 << 20) - 16, "");
	put(DOCKER_DIR NONE "/config.v2.json", large);
	container_name(root, "/docker/" NONE, NULL, &n);
	is_str("9" SHORT, n.name, "container names: a record of 2 MiB is not read");

	put("/data/x", "");
	snprintf(large, 512, "%s/var/lib/docker", root);
	ok(!rename(large, at("/data/docker")) && !symlink(at("/data/docker"), large),
	   "(docker's folder is moved, with a symbolic link to it)");
	container_name(root, "/docker/" DOCKER, NULL, &n);
	is_str("web", n.name, "container names: docker's folder behind a symbolic link is read");
}

static void test_odd_paths(void)
{
	static const char *const paths[] = {
		"//",
		"docker",
		"/../../etc",
		"/run/..",
		"/./.",
		"/docker/",
		("//docker//" DOCKER "//"),
		"/a.slice:docker:",
		"/:::",
		"/user-4294967296.slice/x",
		"/user@-1.service",
		"/\\x",
		"/machine-\\x00\\x0.scope",
		"/machine-qemu-1-.scope",
		"/lxc.payload.",
		"/lxc.payload.\xff\xfe\n",
		"/runc-.scope",
		"/%s%n",
	};
	_free_ char *path = malloc(5000);
	struct container_name n;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		container_name(root, paths[i], NULL, &n);
		ok(n.name[0] && n.runtime[0] && n.path[0] && is_utf8(n.name), "container names: an odd path has a name: %s",
		   n.name);
	}
	for (size_t len = 180; path && len < 5000; len += len < 600 ? 1 : 331) {
		memset(path, 'x', len);
		for (size_t i = 0; i < len; i += 300)
			path[i] = '/';
		path[len - 3] = '\xe2', path[len - 2] = '\x82', path[len - 1] = '\0';
		container_name(root, path, NULL, &n);
		if (!n.name[0] || !is_utf8(n.name) || strncmp(path, n.path, strlen(n.path)) != 0)
			ok(false, "container names: a path of %zu bytes has a name", len);
	}
	ok(true, "container names: paths of up to 5000 bytes have names");
}

/* Thousands of records with bytes changed at random: none is read beyond its end. */
static void test_damaged_records(void)
{
	static const char bundle[] = "{\"annotations\":{\"nerdctl/name\":\"nerd\",\"io.kubernetes.pod.name\":\"\xc3\xa4\"}}";
	static const char list[] = "[{\"id\":\"" PODMAN "\",\"names\":[\"db\"]}]";
	static const char state[] = "{\"cgroup_paths\":{\"a\":\"/x/rc1\"},\"cgroup-path\":\"/rc1\"}";
	static const char *const texts[] = { bundle, list, state };
	char name[OWNER_NAME_MAX];

	srandom(1);
	for (int round = 0; round < 30000; round++) {
		const char *text = texts[round % 3];
		size_t len = (size_t)random() % strlen(text) + 1;
		_free_ char *copy = malloc(len); /* of its own: sanitizers see its end */

		memcpy(copy, text, len);
		for (int i = 0; i < round % 4; i++)
			copy[(size_t)random() % len] = (char)random();
		runtime_record_parse_docker(copy, len, name);
		runtime_record_parse_podman(copy, len, PODMAN, name);
		if (runtime_record_parse_bundle(copy, len, name) && !is_utf8(name))
			ok(false, "container names: a name from a damaged record is UTF-8");
		runtime_record_parse_runc(copy, len, "/rc1", 4);
		runtime_record_parse_crun(copy, len, "/rc1", 4);
	}
	ok(true, "container names: 30000 damaged records are read");
}

/* What this process has computed itself: what others do to the machine, and the kernel for a sanitizer, is left out. */
static __u64 user_ms(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (__u64)use.ru_utime.tv_sec * 1000 + (__u64)use.ru_utime.tv_usec / 1000;
}

/* 1000 of podman's containers: each is found in a list of them all. Sanitizers slow it, the bound is generous. */
static void test_cost(void)
{
	_free_ char *list = malloc(4 << 20);
	size_t len = 0;
	struct container_name n;
	__u64 before, took;

	if (!list)
		return;
	list[len++] = '[';
	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(list + len, "%s{\"id\":\"%064x\",\"names\":[\"c%d\"],\"metadata\":\"%01000d\"}",
				       i ? "," : "", (unsigned int)i, i, 0);
	list[len++] = ']';
	put_bytes("/var/lib/containers" STORAGE "containers.json", list, len);
	before = user_ms();
	for (int i = 0; i < 1000; i++) {
		char path[128], name[16];

		snprintf(path, sizeof(path), "/libpod_parent/libpod-%064x", (unsigned int)i);
		snprintf(name, sizeof(name), "c%d", i);
		container_name(root, path, NULL, &n);
		if (strcmp(name, n.name) != 0)
			is_str(name, n.name, path);
	}
	took = user_ms() - before;
	ok(took < 5000, "container names: 1000 names from a list of 1 MiB take %llu ms of CPU time", (unsigned long long)took);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* JSON takes some 40 times as much memory as its text: what is parsed of the list of all containers is one entry, and short. */
static void test_large_list(void)
{
	static const char head[] = "[{\"id\":\"abc\",\"x\":[", tail[] = "],\"names\":[\"web\"]}]";
	char name[OWNER_NAME_MAX] = "";

	for (size_t kib = 32; kib <= 16384; kib *= 512) {
		size_t len = kib << 10;
		_free_ char *list = malloc(len);

		memset(list, '[', len);
		memcpy(list, head, sizeof(head) - 1);
		for (char *p = list + sizeof(head) - 1; p < list + len; p += 2)
			memcpy(p, "1,", 2);
		list[len - sizeof(tail)] = '1';
		memcpy(list + len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
		ok(runtime_record_parse_podman(list, len, "abc", name) == (kib == 32),
		   "container names: an entry of %zu KiB in podman's list is %s", kib, kib == 32 ? "read" : "refused");
	}
}

int main(void)
{
	if (!mkdtemp(root))
		return 1;
	put_records();
	test_docker();
	test_podman();
	test_kubernetes();
	test_others();
	test_systemd();
	test_users();
	test_delegated();
	test_odd_names();
	test_odd_files();
	test_odd_paths();
	test_damaged_records();
	test_cost();
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	test_large_list();
	return done_testing();
}
