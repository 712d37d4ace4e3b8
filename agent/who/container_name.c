// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/who/container_name.h"
#include "agent/who/runtime_records.h"
#include "agent/who/systemd_unit.h"
#include "agent/lib/util.h"

#define ID_LEN 64 /* hex digits of the ids that docker, podman, cri-o and CRI make */
#define SHORT_LEN 12

/* A walk from the root to the cgroup. */
struct walk {
	struct records records;
	struct cgroup_user user;
	const char *path;
	size_t end; /* of the component, in @path */
	char part[NAME_MAX + 1]; /* the component */
	char parent[NAME_MAX + 1]; /* the one before, "" at first */
	bool missed; /* some component may get a record yet */
	struct container_name *ret;
};

static bool starts(const char *text, const char *head)
{
	return !strncmp(text, head, strlen(head));
}

static bool ends(const char *text, const char *tail)
{
	size_t len = strlen(text), tail_len = strlen(tail);

	return len > tail_len && !strcmp(text + len - tail_len, tail);
}

static bool is_unit(const char *part)
{
	return ends(part, ".service") || ends(part, ".scope");
}

static bool is_slice(const char *part)
{
	return ends(part, ".slice");
}

static size_t hex_len(const char *text)
{
	return strspn(text, "0123456789abcdef");
}

static bool is_id(const char *text)
{
	return hex_len(text) == ID_LEN && !text[ID_LEN];
}

/* Moves on to the next component of the path. */
static bool next_part(struct walk *w)
{
	size_t begin = w->end + strspn(w->path + w->end, "/"), len = strcspn(w->path + begin, "/");

	if (!len)
		return false;
	memcpy(w->parent, w->part, sizeof(w->parent));
	snprintf(w->part, sizeof(w->part), "%.*s", (int)(len < NAME_MAX ? len : NAME_MAX), w->path + begin);
	w->end = begin + len;
	return true;
}

/* Did a user make the component, in a directory that is the user's? */
static bool is_users(const struct walk *w)
{
	return w->user.uid && w->end > w->user.from;
}

/* From here on, what is below belongs to a user. */
static void note_user(struct walk *w)
{
	unsigned int uid;
	int end = 0;

	if (w->records.uid)
		return;
	if (is_users(w)) /* whatever user this user calls it after */
		w->records.uid = w->user.uid;
	else if ((sscanf(w->part, "user-%u.slice%n", &uid, &end) == 1 && end && !w->part[end]) ||
		 (sscanf(w->part, "user@%u.service%n", &uid, &end) == 1 && end && !w->part[end]))
		w->records.uid = uid;
}

/* ---- the answer ---- */

/* Of control characters alone nothing is left. */
static void set_name(struct walk *w, const char *text)
{
	runtime_record_clean(text, w->ret->name);
	if (!w->ret->name[0])
		strcpy(w->ret->name, "?");
}

static void set_path(struct walk *w)
{
	snprintf(w->ret->path, sizeof(w->ret->path), "%.*s", (int)(w->end < OWNER_PATH_MAX ? w->end : OWNER_PATH_MAX), w->path);
}

/* @name "": not known, the short id stands for it. */
static bool found(struct walk *w, const char *runtime, const char *name, const char *id, bool final)
{
	char text[PATH_MAX + 32];

	snprintf(w->ret->runtime, sizeof(w->ret->runtime), "%s", runtime);
	snprintf(w->ret->short_id, sizeof(w->ret->short_id), "%.*s", hex_len(id) >= SHORT_LEN ? SHORT_LEN : 0, id);
	if (!name[0])
		name = w->ret->short_id[0] ? w->ret->short_id : id;
	if (w->records.uid)
		snprintf(text, sizeof(text), "user@%u/%s", w->records.uid, name);
	else
		snprintf(text, sizeof(text), "%s", name);
	set_name(w, text);
	set_path(w);
	w->ret->final = final;
	return true;
}

/* ---- runtimes whose mark is in the name of the cgroup ---- */

enum runtime { DOCKER, PODMAN, CONTAINERD, NERDCTL, CRIO, RUNC, CRUN };

static const struct {
	const char *mark, *name;
	bool any_id; /* not just 64 hex digits */
} marks[] = {
	[DOCKER] = { "docker-", "docker", false },
	[PODMAN] = { "libpod-", "podman", false },
	[CONTAINERD] = { "cri-containerd-", "containerd", false },
	[NERDCTL] = { "nerdctl-", "containerd", false },
	[CRIO] = { "crio-", "crio", false },
	[RUNC] = { "runc-", "runc", true },
	[CRUN] = { "crun-", "crun", true },
};

static bool read_record(const struct walk *w, enum runtime runtime, const char *id, char *ret_name)
{
	switch (runtime) {
	case DOCKER:
		return runtime_record_docker(&w->records, id, ret_name);
	case PODMAN:
		return runtime_record_podman(&w->records, id, ret_name);
	case CONTAINERD:
		return runtime_record_containerd(&w->records, "k8s.io", id, ret_name);
	case NERDCTL:
		return runtime_record_containerd(&w->records, "default", id, ret_name);
	case CRIO:
		return runtime_record_crio(&w->records, id, ret_name);
	case RUNC:
	case CRUN:
		break; /* the id is the name */
	}
	return true;
}

static bool named_by_record(struct walk *w, enum runtime runtime, const char *id)
{
	char name[OWNER_NAME_MAX] = "";
	bool final = read_record(w, runtime, id, name);

	return found(w, marks[runtime].name, final ? name : "", id, final);
}

/* "docker-ID.scope", with systemd; "crio-ID", without; "SLICE:docker:ID", if both sides disagree on that. */
static bool is_marked(struct walk *w)
{
	char text[NAME_MAX + 1];
	const char *colon = strstr(w->part, ".slice:");
	size_t len;

	snprintf(text, sizeof(text), "%s", colon ? colon + strlen(".slice:") : w->part);
	for (char *c = text; colon && *c; c++)
		if (*c == ':')
			*c = '-';
	len = strlen(text);
	if (ends(text, ".scope"))
		text[len - strlen(".scope")] = '\0';
	for (enum runtime r = 0; r < ARRAY_SIZE(marks); r++) {
		const char *id = text + strlen(marks[r].mark);

		if (!starts(text, marks[r].mark) || !(marks[r].any_id ? *id && (colon || is_unit(w->part)) : is_id(id)))
			continue;
		return named_by_record(w, r, id);
	}
	return false;
}

/* "/docker/ID", "/kubepods/burstable/podUID/ID", or below what the user gave as --cgroup-parent. */
static bool is_bare_id(struct walk *w)
{
	char name[OWNER_NAME_MAX] = "";
	const char *next = w->path + w->end;
	bool kube = starts(w->path, "/kubepods") || strstr(w->path, "/kubepods/");

	if (!is_id(w->part) || starts(next, "/libpod-")) /* podman's folder of a pod */
		return false;
	if (!strcmp(w->parent, "libpod_parent"))
		return found(w, "podman", "", w->part, true);
	if (runtime_record_containerd(&w->records, kube ? "k8s.io" : w->parent, w->part, name))
		return found(w, "containerd", name, w->part, true);
	if (runtime_record_docker(&w->records, w->part, name))
		return found(w, "docker", name, w->part, true);
	return found(w, kube ? "containerd" : !strcmp(w->parent, "docker") ? "docker" : "path", "", w->part, false);
}

/* ---- runtimes that name the cgroup as the container ---- */

/* libvirt calls its machines "qemu-3-DOMAIN", of which systemd keeps at most 64 characters. */
static const char *libvirt_domain(const char *machine)
{
	unsigned int number;
	int end = 0;

	if (sscanf(machine, "qemu-%u-%n", &number, &end) != 1 || !end)
		if (sscanf(machine, "lxc-%u-%n", &number, &end) != 1 || !end)
			return NULL;
	return machine[end] ? machine + end : NULL;
}

static bool is_machine(struct walk *w)
{
	static const struct {
		const char *head, *tail;
	} forms[] = {
		{ "machine-", ".scope" }, /* registered with systemd-machined */
		{ "systemd-nspawn@", ".service" },
		{ "", ".libvirt-qemu" }, /* without systemd */
		{ "", ".libvirt-lxc" },
	};
	char text[NAME_MAX + 1];
	const char *domain;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t head = strlen(forms[i].head), len = strlen(w->part), tail = strlen(forms[i].tail);

		if (!starts(w->part, forms[i].head) || !ends(w->part + head, forms[i].tail))
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)(len - head - tail), w->part + head);
		systemd_unit_unescape(text);
		domain = libvirt_domain(text);
		return found(w, domain ? "libvirt" : "nspawn", domain ?: text, "", true);
	}
	return false;
}

static bool is_lxc(struct walk *w)
{
	static const char mark[] = "lxc.payload.";

	if (starts(w->part, mark) && w->part[strlen(mark)])
		return found(w, "lxc", w->part + strlen(mark), "", true);
	if (!strcmp(w->parent, "lxc") && starts(w->path, "/lxc/")) /* before LXC 4 */
		return found(w, "lxc", w->part, "", true);
	return false;
}

/* A name that says nothing: containerd's "/SPACE/ID", or what a person gave runc or crun. */
static bool is_recorded(struct walk *w)
{
	char name[OWNER_NAME_MAX] = "";

	if (is_unit(w->part) || is_slice(w->part) || w->records.uid)
		return false;
	if (w->parent[0] && runtime_record_containerd(&w->records, w->parent, w->part, name))
		return found(w, "containerd", name[0] ? name : w->part, w->part, true);
	if (runtime_record_runc(&w->records, w->part, w->path, w->end))
		return found(w, "runc", w->part, w->part, true);
	if (runtime_record_crun(&w->records, w->part, w->path, w->end))
		return found(w, "crun", w->part, w->part, true);
	w->missed = true;
	return false;
}

static bool find_container(struct walk *w)
{
	while (next_part(w)) {
		note_user(w);
		if (is_marked(w) || is_bare_id(w) || is_machine(w) || is_lxc(w) || is_recorded(w))
			return true;
	}
	return false;
}

/* ---- systemd ---- */

static void found_unit(struct walk *w, const char *user, bool final)
{
	char text[2 * NAME_MAX + 2];

	snprintf(text, sizeof(text), "%s%s%s", user, user[0] ? "/" : "", w->part);
	set_name(w, text);
	snprintf(w->ret->runtime, sizeof(w->ret->runtime), "systemd");
	w->ret->short_id[0] = '\0';
	w->ret->final = final;
	set_path(w);
}

static bool find_unit(struct walk *w, bool final)
{
	char user[NAME_MAX + 1] = ""; /* a user's manager, which runs units, too; or who made what is below */
	bool slices = true, any = false;

	while (next_part(w)) {
		slices &= is_slice(w->part);
		if (is_users(w) && !user[0])
			snprintf(user, sizeof(user), "user@%u", w->user.uid);
		if (!is_unit(w->part))
			continue;
		found_unit(w, user, final);
		any = true;
		if (user[0] || !starts(w->part, "user@"))
			return true;
		memcpy(user, w->part, sizeof(user));
	}
	if (!any && slices && w->part[0]) {
		found_unit(w, user, final);
		any = true;
	}
	return any;
}

/* ---- what nobody made for a container ---- */

/* Of a long path the end tells more. */
static void name_by_path(struct walk *w, bool final)
{
	size_t len = strlen(w->path), max = OWNER_NAME_MAX - sizeof("…");
	char text[OWNER_NAME_MAX + 1];

	if (len <= OWNER_NAME_MAX - 1) {
		set_name(w, len ? w->path : "/");
	} else {
		const char *tail = w->path + len - max;

		while ((*tail & 0xc0) == 0x80)
			tail++;
		snprintf(text, sizeof(text), "…%s", tail);
		set_name(w, text);
	}
	w->ret->final = final;
	snprintf(w->ret->runtime, sizeof(w->ret->runtime), "path");
	snprintf(w->ret->path, sizeof(w->ret->path), "%s", len ? w->path : "/");
}

void container_name(const char *root, const char *path, const struct cgroup_user *user, struct container_name *ret)
{
	struct walk containers = { .records = { .root = root }, .path = path, .ret = ret };
	struct walk units;

	if (user)
		containers.user = *user;
	units = containers;

	*ret = (struct container_name){};
	if (find_container(&containers) || find_unit(&units, !containers.missed))
		return;
	name_by_path(&units, !containers.missed);
}

__u32 container_name_user(const char *path, const struct cgroup_user *user)
{
	struct walk w = { .path = path, .user = *user };

	while (next_part(&w))
		note_user(&w);
	return w.records.uid;
}
