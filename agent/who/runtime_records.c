// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "agent/who/runtime_records.h"
#include "agent/lib/utf8.h"
#include "agent/lib/util.h"

#define RECORD_MAX (1U << 20) /* bytes; one container's is 5 to 100 KiB */
#define LIST_MAX (16U << 20) /* bytes; podman's list has about 1 KiB per container */
#define ENTRY_MAX (64U << 10) /* bytes of that list that are parsed: JSON takes some 40 times as much memory */

/* ---- text ---- */

void runtime_record_clean(const char *text, char *ret_name)
{
	size_t out = 0;

	while (*text) {
		size_t len = utf8_len(text), width = len ? len : 1;

		if (out + width >= OWNER_NAME_MAX)
			break;
		if (!len)
			ret_name[out++] = '?';
		else if (!utf8_is_control(text))
			out = (size_t)((char *)mempcpy(ret_name + out, text, len) - ret_name);
		text += width;
	}
	ret_name[out] = '\0';
}

/* ---- files ---- */

/*
 * The folder @dir of the system. An administrator may have moved it with a link; inside it no link is followed.
 */
static int open_system_dir(const struct records *r, const char *dir)
{
	char path[PATH_MAX];

	if (!r->root || (size_t)snprintf(path, sizeof(path), "%s%s", r->root, dir) >= sizeof(path))
		return -1;
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool find_home(const struct records *r, char *home, size_t size)
{
	char path[PATH_MAX], line[4096];
	struct passwd entry, *found;
	_fclose_ FILE *f = NULL;

	if ((size_t)snprintf(path, sizeof(path), "%s/etc/passwd", r->root) >= sizeof(path))
		return false;
	f = fopen(path, "re");
	/* not getpwuid(): it may ask the network */
	while (f && !fgetpwent_r(f, &entry, line, sizeof(line), &found))
		if (found->pw_uid == r->uid)
			return (size_t)snprintf(home, size, "%s%s", r->root, found->pw_dir) < size;
	return false;
}

/*
 * The home of the user, unless it is on a file system that answers when it likes: this user could mount one of his
 * own (FUSE) there, and the agent would wait for it for ever. Those have no device; asked for like this, none is
 * bothered.
 */
static int open_home(const struct records *r)
{
	char home[PATH_MAX];
	struct statx st, root;
	int fd;

	if (!r->root || !find_home(r, home, sizeof(home)) ||
	    statx(AT_FDCWD, r->root[0] ? r->root : "/", AT_STATX_DONT_SYNC, STATX_TYPE, &root))
		return -1;
	fd = open(home, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	    (st.stx_dev_major || (!root.stx_dev_major && root.stx_dev_minor == st.stx_dev_minor)))
		return fd;
	close(fd);
	return -1;
}

/* 0: unknown. No file system is asked. */
static __u64 mount_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) || !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

/* What is of that name and that length in @dir: itself, be it a link. */
static int open_part(int dir, const char *name, size_t len)
{
	char part[NAME_MAX + 1];

	if (len > NAME_MAX || (len == 2 && !strncmp(name, "..", 2)))
		return -1;
	snprintf(part, sizeof(part), "%.*s", (int)len, name);
	return openat(dir, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * A regular file below @dir; no link on the way, no other file system. -1 if there is none. Not openat2(), which does this in
 * one call: RestrictSUIDSGID= of nestord.service takes it away.
 */
static int open_beneath(int dir, const char *path)
{
	__u64 mount = mount_of(dir);
	_close_ int at = -1;
	char again[64];
	struct stat st;

	for (size_t len; *path; path += len) {
		int next;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		next = open_part(at < 0 ? dir : at, path, len);
		if (at >= 0)
			close(at);
		at = next;
		if (at < 0 || mount_of(at) != mount)
			return -1;
	}
	if (!mount || at < 0 || fstat(at, &st) || !S_ISREG(st.st_mode))
		return -1;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
	/* Its owner may hold a lease on it, which makes others wait. */
	return open(again, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* All of a regular file of at most @max bytes, to be freed; NULL if it is none, or empty. */
static char *read_beneath(int dir, const char *path, size_t max, size_t *ret_len)
{
	_close_ int fd = open_beneath(dir, path);
	struct stat st;
	size_t len = 0;
	char *text;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size > max)
		return NULL;
	text = malloc((size_t)st.st_size);
	while (text && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* it was just cut: what is left does not parse */
		len += (size_t)n;
	}
	*ret_len = len;
	return text;
}

/* The file "@before/@id/@after" in @dir. */
static char *read_of_id(int dir, const char *before, const char *id, const char *after, size_t *ret_len)
{
	char path[PATH_MAX];

	if (dir < 0 || (size_t)snprintf(path, sizeof(path), "%s%s/%s", before, id, after) >= sizeof(path))
		return NULL;
	return read_beneath(dir, path, RECORD_MAX, ret_len);
}

/* ---- JSON ---- */

static const char *string_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* @path_len bytes of @path are where @full ends. */
static bool ends_in(const char *full, const char *path, size_t path_len)
{
	size_t len = full ? strlen(full) : 0;

	return path_len > 1 && len >= path_len && !memcmp(full + len - path_len, path, path_len);
}

bool runtime_record_parse_docker(const char *text, size_t len, char *ret_name)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	const char *name = string_at(json, "Name");

	runtime_record_clean(name + (name[0] == '/'), ret_name);
	json_decref(json);
	return ret_name[0] != '\0';
}

/*
 * The list has all containers of the machine; parsing it for each of 1000 would take seconds. An entry begins with
 * its id, and no string can hold this beginning, as quotes in strings are escaped: so it is found as text.
 */
bool runtime_record_parse_podman(const char *text, size_t len, const char *id, char *ret_name)
{
	char head[96];
	const char *entry;
	json_t *json;

	if ((size_t)snprintf(head, sizeof(head), "{\"id\":\"%s\"", id) >= sizeof(head))
		return false;
	entry = memmem(text, len, head, strlen(head));
	if (!entry)
		return false;
	len -= (size_t)(entry - text);
	json = json_loadb(entry, len < ENTRY_MAX ? len : ENTRY_MAX, JSON_DISABLE_EOF_CHECK, NULL);
	ret_name[0] = '\0';
	if (json)
		runtime_record_clean(json_string_value(json_array_get(json_object_get(json, "names"), 0)) ?: "", ret_name);
	json_decref(json);
	return ret_name[0] != '\0';
}

/* Kubernetes': name space, pod, and the container, of which a pod's own (it holds the pod's name spaces) has no name. */
struct kube_keys {
	const char *space, *pod, *container, *type;
};

static bool kube_name(const json_t *annotations, const struct kube_keys *k, char *ret_name)
{
	const char *space = string_at(annotations, k->space), *pod = string_at(annotations, k->pod);
	const char *container = string_at(annotations, k->container);
	char name[1024];

	if (!space[0] || !pod[0])
		return false;
	if (!strcmp(string_at(annotations, k->type), "sandbox"))
		container = "POD";
	if (!container[0])
		return false;
	snprintf(name, sizeof(name), "%s/%s/%s", space, pod, container);
	runtime_record_clean(name, ret_name);
	return true;
}

bool runtime_record_parse_bundle(const char *text, size_t len, char *ret_name)
{
	static const struct kube_keys keys[] = {
		{ "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.container-name",
		  "io.kubernetes.cri.container-type" },
		{ "io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.container.name",
		  "io.kubernetes.cri-o.ContainerType" },
	};
	json_t *json = json_loadb(text, len, 0, NULL);
	const json_t *annotations = json_object_get(json, "annotations");
	bool named = false;

	ret_name[0] = '\0';
	for (size_t i = 0; !named && i < ARRAY_SIZE(keys); i++)
		named = kube_name(annotations, &keys[i], ret_name);
	if (!named)
		runtime_record_clean(string_at(annotations, "nerdctl/name"), ret_name);
	named = json != NULL;
	json_decref(json);
	return named;
}

bool runtime_record_parse_runc(const char *text, size_t len, const char *path, size_t path_len)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	bool is = false;
	const char *controller;
	json_t *value;

	json_object_foreach (json_object_get(json, "cgroup_paths"), controller, value)
		is |= ends_in(json_string_value(value), path, path_len);
	json_decref(json);
	return is;
}

bool runtime_record_parse_crun(const char *text, size_t len, const char *path, size_t path_len)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	bool is = ends_in(string_at(json, "cgroup-path"), path, path_len);

	json_decref(json);
	return is;
}

/* ---- runtimes ---- */

/* @system: its folder; a user's is @user in his home. */
static int open_dir(const struct records *r, const char *system, const char *user, const char **ret_before)
{
	*ret_before = r->uid ? user : "";
	return r->uid ? open_home(r) : open_system_dir(r, system);
}

bool runtime_record_docker(const struct records *r, const char *id, char *ret_name)
{
	const char *before;
	_close_ int dir = open_dir(r, "/var/lib/docker/containers", ".local/share/docker/containers/", &before);
	size_t len;
	_free_ char *text = read_of_id(dir, before, id, "config.v2.json", &len);

	return text && runtime_record_parse_docker(text, len, ret_name);
}

/*
 * Containers that end with the machine are listed apart; where all of them do (a transient store), below /run.
 */
bool runtime_record_podman(const struct records *r, const char *id, char *ret_name)
{
	static const char *const lists[] = {
		"overlay-containers/containers.json",
		"overlay-containers/volatile-containers.json",
		"vfs-containers/containers.json",
		"vfs-containers/volatile-containers.json",
	};
	const char *before;
	_close_ int dir = open_dir(r, "/var/lib/containers/storage", ".local/share/containers/storage/", &before);

	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(lists); i++) {
		char path[128];
		size_t len;
		_free_ char *text = NULL;

		snprintf(path, sizeof(path), "%s%s", before, lists[i]);
		text = read_beneath(dir, path, LIST_MAX, &len);
		if (text && runtime_record_parse_podman(text, len, id, ret_name))
			return true;
	}
	return false;
}

bool runtime_record_crio(const struct records *r, const char *id, char *ret_name)
{
	_close_ int dir = r->uid ? -1 : open_system_dir(r, "/run/containers/storage");
	size_t len;
	_free_ char *text = read_of_id(dir, "overlay-containers/", id, "userdata/config.json", &len);

	return text && runtime_record_parse_bundle(text, len, ret_name) && ret_name[0];
}

bool runtime_record_containerd(const struct records *r, const char *space, const char *id, char *ret_name)
{
	_close_ int dir = r->uid ? -1 : open_system_dir(r, "/run/containerd/io.containerd.runtime.v2.task");
	char before[NAME_MAX + 2];
	size_t len;
	_free_ char *text = NULL;

	snprintf(before, sizeof(before), "%s/", space);
	text = read_of_id(dir, before, id, "config.json", &len);
	return text && runtime_record_parse_bundle(text, len, ret_name);
}

bool runtime_record_runc(const struct records *r, const char *id, const char *path, size_t path_len)
{
	_close_ int dir = r->uid ? -1 : open_system_dir(r, "/run/runc");
	size_t len;
	_free_ char *text = read_of_id(dir, "", id, "state.json", &len);

	return text && runtime_record_parse_runc(text, len, path, path_len);
}

bool runtime_record_crun(const struct records *r, const char *id, const char *path, size_t path_len)
{
	_close_ int dir = r->uid ? -1 : open_system_dir(r, "/run/crun");
	size_t len;
	_free_ char *text = read_of_id(dir, "", id, "status", &len);

	return text && runtime_record_parse_crun(text, len, path, path_len);
}
