// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/env.h"
#include "agent/lib/util.h"
#include "agent/who/account_name.h"
#include "agent/who/workloads.h"

void account_name_save(struct accounts *o, const struct entry *e)
{
	bpf_map_update_elem(bpf_map__fd(o->map), &e->owner, &e->info, BPF_EXIST);
}

bool account_name_is_set(const struct entry *e)
{
	return e->info.name[0] || e->info.vm[0];
}

bool account_name_same(const struct entry *a, const struct entry *b)
{
	return !strcmp(a->info.name, b->info.name) && !strcmp(a->info.vm, b->info.vm);
}

/* On a host with cgroup v1 a container has a cgroup in each hierarchy, and not always of the same path. */
static bool same_container(const struct entry *a, const struct entry *b)
{
	const struct owner_info *i = &a->info, *j = &b->info;

	return !strcmp(i->path, j->path) ||
	       (a->owner.hierarchy != b->owner.hierarchy && !strcmp(i->runtime, j->runtime) &&
		!strcmp(i->short_id, j->short_id) && strcmp(i->runtime, "path") != 0 && strcmp(i->runtime, "systemd") != 0);
}

/* Two that live at once under one name, such as a docker's and a podman's "web", would be one series. */
static bool is_taken(const struct accounts *o, const struct entry *e)
{
	struct entry *other;

	TAILQ_FOREACH (other, &o->all, in_all)
		if (other != e && !other->info.dead_since_ns && account_name_same(other, e) && !same_container(other, e))
			return true;
	return false;
}

static void make_unique(const struct accounts *o, struct entry *e)
{
	char name[OWNER_NAME_MAX];

	if (!e->info.name[0] || !is_taken(o, e))
		return;
	memcpy(name, e->info.name, sizeof(name));
	snprintf(e->info.name, sizeof(e->info.name), "%.*s:%s", (int)(sizeof(name) - OWNER_SHORT_ID_MAX - 1), name,
		 e->info.short_id);
	if (!e->info.short_id[0] || is_taken(o, e))
		snprintf(e->info.name, sizeof(e->info.name), "%.*s", (int)sizeof(e->info.name) - 1, e->info.path);
}

static void set_name(const struct accounts *o, struct entry *e, const struct container_name *found)
{
	struct owner_info *info = &e->info;

	memcpy(info->name, found->name, sizeof(info->name));
	memcpy(info->runtime, found->runtime, sizeof(info->runtime));
	memcpy(info->short_id, found->short_id, sizeof(info->short_id));
	memcpy(info->path, found->path, sizeof(info->path));
	make_unique(o, e);
}

/* Has it changed from @was? One that is shown may then be shown with others, or apart from them. */
static void note_change(struct accounts *o, struct entry *e, const struct owner_info *was)
{
	if (!memcmp(was, &e->info, sizeof(*was)))
		return;
	o->renamed |= was->state == OWNER_SHOWN && (strcmp(was->name, e->info.name) || strcmp(was->vm, e->info.vm));
	account_name_save(o, e);
}

static void on_name(struct look *look, const struct look_reply *reply)
{
	struct entry *e = look->data;
	struct owner_info was = e->info;

	e->answered = true;
	if (reply->part != LOOK_PART_NAME)
		return;
	e->final |= reply->name.final;
	if (e->info.vm[0])
		return;
	set_name(e->accounts, e, &reply->name);
	note_change(e->accounts, e, &was);
}

static void ask_name(const struct accounts *o, struct entry *e)
{
	const struct cgroup_user user = kernel_cgroup_user(&o->env->kernel, e->owner.hierarchy, e->info.path);
	__u32 uid = container_name_user(e->info.path, &user);

	if (e->look.asked)
		return;
	e->look = (struct look){ .type = LOOK_NAME, .path = e->info.path, .answer = on_name, .data = e };
	e->look.user = user;
	e->look.class = uid ? LOOK_OTHERS : LOOK_SAFE;
	e->look.group = uid;
	looker_ask(o->looker, &e->look);
}

/* 0, or -errno if it is gone. */
static int name_cgroup(const struct accounts *o, struct entry *e)
{
	struct owner_info *info = &e->info;
	struct container_name found;
	char path[OWNER_PATH_MAX];
	struct cgroup_user user;
	int err;

	err = kernel_cgroup_path(&o->env->kernel, e->owner.hierarchy, e->owner.id, path, sizeof(path));
	if (err == -ENOTCONN) {
		snprintf(info->name, sizeof(info->name), "cgroup:%u:%llu", e->owner.hierarchy, e->owner.id);
		e->final = true;
		return 0;
	}
	if (err || e->final)
		return err;
	user = kernel_cgroup_user(&o->env->kernel, e->owner.hierarchy, path);
	container_name(NULL, path, &user, &found);
	e->final = found.final || now_ns() - e->seen_ns > NAME_SETTLES_NS;
	if (workloads_name_vms_cgroup(o->census, found.path, info)) {
		e->final = true;
		return 0;
	}
	/* The name of an earlier run, or of a record, stays until a record tells another. */
	if (!e->answered && (!account_name_is_set(e) || strcmp(info->path, found.path) != 0))
		set_name(o, e, &found);
	if (!e->final)
		ask_name(o, e);
	return 0;
}

static int name_vm(const struct accounts *o, struct entry *e)
{
	e->final = true;
	return workloads_name_vm(o->census, e->owner.id, &e->info) ? 0 : -ESRCH;
}

void account_name_look(struct accounts *o, struct entry *e)
{
	struct owner_info was = e->info;
	int err = e->owner.hierarchy == OWNER_VM ? name_vm(o, e) : name_cgroup(o, e);

	if (!err)
		e->info.dead_since_ns = 0;
	else if (!e->info.dead_since_ns)
		e->info.dead_since_ns = now_ns();
	note_change(o, e, &was);
}
