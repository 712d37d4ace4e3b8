// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 600
 * The name of a container, from any path of a cgroup: there always is one, which can be shown, and no user can count for
 * the system's containers. Records of runtimes are not read but made up: the low bits of the first byte say which there are,
 * the second line is the name in them. The high bits say how much of the path is in a directory of a user's.
 */
#include "agent/who/container_name.h"
#include "agent/who/runtime_records.h"
#include "tests/fuzz/fuzz.h"

static uint8_t there;
static const char *recorded;
static struct cgroup_user user;

/* In the place of agent/who/runtime_records.c's, by ld --wrap. */
bool __wrap_runtime_record_docker(const struct records *r, const char *id, char *ret_name);
bool __wrap_runtime_record_podman(const struct records *r, const char *id, char *ret_name);
bool __wrap_runtime_record_crio(const struct records *r, const char *id, char *ret_name);
bool __wrap_runtime_record_containerd(const struct records *r, const char *space, const char *id, char *ret_name);
bool __wrap_runtime_record_runc(const struct records *r, const char *id, const char *path, size_t len);
bool __wrap_runtime_record_crun(const struct records *r, const char *id, const char *path, size_t len);

static bool find(const char *id, unsigned int bit, char *ret_name)
{
	MUST(*id && !strchr(id, '/'));
	if (!(there & 1U << bit))
		return false;
	if (ret_name)
		runtime_record_clean(recorded, ret_name);
	return true;
}

bool __wrap_runtime_record_docker(const struct records *r, const char *id, char *ret_name)
{
	(void)r;
	return find(id, 0, ret_name) && *ret_name;
}

bool __wrap_runtime_record_podman(const struct records *r, const char *id, char *ret_name)
{
	(void)r;
	return find(id, 1, ret_name) && *ret_name;
}

bool __wrap_runtime_record_crio(const struct records *r, const char *id, char *ret_name)
{
	(void)r;
	return find(id, 2, ret_name) && *ret_name;
}

bool __wrap_runtime_record_containerd(const struct records *r, const char *space, const char *id, char *ret_name)
{
	MUST(!strchr(space, '/'));
	return !r->uid && find(id, 3, ret_name); /* a record there may have no name */
}

bool __wrap_runtime_record_runc(const struct records *r, const char *id, const char *path, size_t len)
{
	MUST(len <= strlen(path));
	return !r->uid && find(id, 4, NULL);
}

bool __wrap_runtime_record_crun(const struct records *r, const char *id, const char *path, size_t len)
{
	MUST(len <= strlen(path));
	return !r->uid && find(id, 5, NULL);
}

static void check_runtime(const char *runtime)
{
	static const char *const runtimes[] = { "docker", "podman", "containerd", "crio",    "runc", "crun",
						"lxc",	  "nspawn", "libvirt",	  "systemd", "path" };

	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
		if (!strcmp(runtime, runtimes[i]))
			return;
	MUST(!"a runtime that is known");
}

/* The user whose slice or manager the component at @part, of @len bytes, is; 0 if it is none, -1 if that is hard to tell. */
static long user_of(const char *part, size_t len)
{
	static const char *const forms[][2] = { { "user-", ".slice" }, { "user@", ".service" } };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t head = strlen(forms[i][0]), tail = strlen(forms[i][1]), digits;

		if (len < head + tail || memcmp(part, forms[i][0], head) || memcmp(part + len - tail, forms[i][1], tail))
			continue;
		digits = strspn(part + head, "0123456789");
		return digits == len - head - tail && digits && digits < 10 ? strtol(part + head, NULL, 10) : -1;
	}
	return 0;
}

/* What a runtime made for a user says so. The container's path may be too long and cut, within a component of @path. */
static void check_user(const char *path, const struct container_name *name)
{
	char expected[32];
	size_t len, end;
	long uid = 0;

	if (!strcmp(name->runtime, "path"))
		return;
	if (!strcmp(name->runtime, "systemd")) {
		MUST(!user.uid || strlen(name->path) <= user.from || !strncmp(name->name, "user@", 5));
		return;
	}
	for (const char *part = name->path; *part && !uid; part += len) {
		part += strspn(part, "/");
		len = strcspn(part, "/");
		end = (size_t)(part - name->path) + len;
		if (user.uid && end > user.from)
			uid = user.uid;
		else
			uid = path[end] && path[end] != '/' ? 0 : user_of(part, len);
	}
	if (uid <= 0)
		return;
	snprintf(expected, sizeof(expected), "user@%ld/", uid);
	MUST(!strncmp(name->name, expected, strlen(expected)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct container_name name;
	_free_ char *path = NULL, *text = NULL;

	there = take_byte(&in);
	path = take_until(&in, '\n');
	text = take_until(&in, '\n');
	recorded = text;
	user = (struct cgroup_user){ .uid = there & 0xc0 ? 4321 : 0 };
	user.from = (__u32)(strlen(path) * (4 - (there >> 6)) / 4);
	container_name("", path, &user, &name);
	MUST(name.name[0] && strlen(name.name) < OWNER_NAME_MAX && is_utf8(name.name) && !has_control(name.name));
	check_runtime(name.runtime);
	MUST(!name.short_id[0] || strspn(name.short_id, "0123456789abcdef") == 12);
	MUST(*path ? !strncmp(path, name.path, strlen(name.path)) : !strcmp(name.path, "/"));
	check_user(path, &name);
	return 0;
}
