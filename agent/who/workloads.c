// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/env.h"
#include "agent/base/metrics.h"
#include "agent/who/who.h"
#include "agent/who/vm_list.h"
#include "agent/who/workloads.h"
#include "agent/lib/log.h"
#include "agent/who/container_name.h"
#include "agent/lib/util.h"

#define BUCKETS 1024
#define CONTAINERS_MAX 16384
/* Of users but root, who make cgroups where systemd or a runtime lets them: of all of them, and of one. */
#define CONTAINERS_USERS_MAX (CONTAINERS_MAX / 2)
#define CONTAINERS_USER_MAX 1024
#define UNBORN_MAX 256

/* So often names that are not final are asked for again; those of older ones less often: each time a little later. */
#define SETTLE_EVERY_NS (100ULL * 1000000)
#define SETTLE_SLOWER 8 /* after an eighth of its age */
/* The kernel tells of a cgroup a moment before it can be found by its id: so often, and so many times, it is asked again. */
#define UNBORN_EVERY_NS (20ULL * 1000000)
#define UNBORN_TIMES 10

/* A container's own cgroup, in the hierarchy that tasks are known by. */
struct place {
	__u64 id;
	__u32 uid; /* who owns the cgroup's directory: who made it, as a rule */
	struct container_name name;
	struct workload one;
	__u64 since_ns, asked_ns; /* asked: for its name */
	struct workloads *list;
	struct look look; /* for its name */
	/*
	 * A runtime's: it is not told of before its record was looked for, so that no limit is taken from a container for
	 * want of its name when the agent starts.
	 */
	bool waits;
	bool seen; /* by the scan that runs */
	LIST_ENTRY(place) in_bucket;
};

struct workloads {
	struct env *env;
	struct looker *looker;
	struct vm_list *vms;
	void (*renamed)(void *data, const struct owner *owner); /* one that has counters, maybe */
	void *data;
	LIST_HEAD(, place) places[BUCKETS];
	LIST_HEAD(, who_watch) watches;
	unsigned int nr_places, nr_unsettled;
	unsigned int nr_users; /* places that are not root's */
	unsigned int by_user[BUCKETS]; /* the same, by the user's number */
	__u64 over_limit; /* cgroups that found no place */
	bool full; /* and it was logged */
	__u64 unborn[UNBORN_MAX]; /* told of, but not found yet */
	unsigned int nr_unborn, asked; /* asked: times, since there were none */
	struct source settle, late; /* timers; late: runs once for the unborn */
};

/* ---- watchers ---- */

static void tell_born(const struct workloads *c, const struct workload *one)
{
	struct who_watch *w;

	LIST_FOREACH (w, &c->watches, entry)
		w->born(w->data, one);
}

static void tell_gone(const struct workloads *c, const struct workload *one)
{
	struct who_watch *w;

	LIST_FOREACH (w, &c->watches, entry)
		w->gone(w->data, one);
}

void workloads_watch(struct workloads *c, struct who_watch *watch)
{
	struct place *p;

	LIST_INSERT_HEAD(&c->watches, watch, entry);
	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket)
			if (!p->waits)
				watch->born(watch->data, &p->one);
	vm_list_for_each_workload(c->vms, watch->born, watch->data);
}

void workloads_unwatch(struct who_watch *watch)
{
	LIST_REMOVE(watch, entry);
}

/* ---- containers ---- */

static struct place *find_place(const struct workloads *c, __u64 id)
{
	struct place *p;

	LIST_FOREACH (p, &c->places[id % BUCKETS], in_bucket)
		if (p->id == id)
			return p;
	return NULL;
}

static bool is_settled(const struct place *p)
{
	return p->name.final || now_ns() - p->since_ns > NAME_SETTLES_NS;
}

static void remove_place(struct workloads *c, struct place *p)
{
	looker_drop(c->looker, &p->look);
	if (!p->waits)
		tell_gone(c, &p->one);
	LIST_REMOVE(p, in_bucket);
	c->nr_places--;
	c->nr_users -= p->uid != 0;
	c->by_user[p->uid % BUCKETS]--;
	free(p);
}

/* @path is not shortened to its container's: then it is none of its own. The root is not one to be limited. */
static bool is_container(const char *path, const struct container_name *name)
{
	return strcmp(path, "/") != 0 && !strcmp(path, name->path);
}

static void tell_name(const struct workloads *c, struct place *p)
{
	p->waits = false;
	tell_born(c, &p->one);
}

/* Its runtime may have written by now what it is called: then it was one under another name. */
static void take_name(struct workloads *c, struct place *p, const struct container_name *name)
{
	bool same = !strcmp(name->name, p->name.name);

	if (strcmp(name->path, p->name.path) != 0) {
		remove_place(c, p); /* the container is the one above */
		return;
	}
	if (!same && !p->waits)
		tell_gone(c, &p->one);
	p->name = *name;
	if (!same || p->waits)
		tell_name(c, p);
}

static void on_name(struct look *look, const struct look_reply *reply)
{
	struct place *p = look->data;
	struct workloads *c = p->list;

	if (reply->part == LOOK_PART_NAME)
		take_name(c, p, &reply->name);
	else if (p->waits)
		tell_name(c, p);
}

static void ask_name(struct place *p)
{
	p->asked_ns = now_ns();
	looker_ask(p->list->looker, &p->look);
}

static unsigned int count_of(const struct workloads *c, __u32 uid)
{
	const struct place *p;
	unsigned int nr = 0;

	if (c->by_user[uid % BUCKETS] < CONTAINERS_USER_MAX) /* as a rule: so there are no more of this one either */
		return 0;
	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket)
			nr += p->uid == uid;
	return nr;
}

/* No user takes the places of others. */
static bool has_place(const struct workloads *c, __u32 uid)
{
	if (c->nr_places >= CONTAINERS_MAX)
		return false;
	return !uid || (c->nr_users < CONTAINERS_USERS_MAX && count_of(c, uid) < CONTAINERS_USER_MAX);
}

static void init_place(struct workloads *c, struct place *p, __u64 id, const struct container_name *name,
		       const struct cgroup_user *user)
{
	__u32 uid = container_name_user(name->path, user);

	p->id = id;
	p->list = c;
	p->name = *name;
	p->one = (struct workload){ .vm = "", .container = p->name.name, .path = p->name.path };
	p->since_ns = now_ns();
	p->seen = true;
	p->waits = !name->final && name->short_id[0];
	p->look = (struct look){ .type = LOOK_NAME, .path = p->name.path, .answer = on_name, .data = p };
	p->look.user = *user;
	p->look.class = uid ? LOOK_OTHERS : LOOK_SAFE;
	p->look.group = uid;
}

/* @uid: who owns the cgroup */
static void add_place(struct workloads *c, __u64 id, __u32 uid, const char *path)
{
	const struct kernel *k = &c->env->kernel;
	const struct cgroup_user user = kernel_cgroup_user(k, k->task_hierarchy, path);
	struct container_name name;
	struct place *p;

	container_name(NULL, path, &user, &name);
	if (!is_container(path, &name))
		return;
	p = has_place(c, uid) ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		c->over_limit++;
		if (!c->full)
			log_warning("who: more than %d containers, or %d of user %u; policy does not reach the others",
				    CONTAINERS_MAX, CONTAINERS_USER_MAX, uid);
		c->full = true;
		return;
	}
	init_place(c, p, id, &name, &user);
	p->uid = uid;
	c->nr_users += uid != 0;
	c->by_user[uid % BUCKETS]++;
	LIST_INSERT_HEAD(&c->places[id % BUCKETS], p, in_bucket);
	c->nr_places++;
	if (!p->waits)
		tell_born(c, &p->one);
	if (name.final)
		return;
	ask_name(p);
	if (!c->nr_unsettled++)
		loop_timer_rearm(c->settle.fd, SETTLE_EVERY_NS, SETTLE_EVERY_NS);
}

/* False: there is no such cgroup, or none yet. */
static bool find_born(struct workloads *c, __u64 id)
{
	const struct kernel *k = &c->env->kernel;
	char path[OWNER_PATH_MAX];
	struct stat st;
	_close_ int fd = kernel_open_cgroup(k, k->task_hierarchy, id, &st);

	if (fd < 0 || kernel_cgroup_path(k, k->task_hierarchy, id, path, sizeof(path)))
		return false;
	if (!find_place(c, id))
		add_place(c, id, st.st_uid, path);
	return true;
}

void workloads_cgroup_born(struct workloads *c, const struct owner *owner)
{
	if (owner->hierarchy != c->env->kernel.task_hierarchy || find_born(c, owner->id) || c->nr_unborn == UNBORN_MAX)
		return;
	if (!c->nr_unborn)
		loop_timer_rearm(c->late.fd, UNBORN_EVERY_NS, UNBORN_EVERY_NS);
	c->unborn[c->nr_unborn++] = owner->id;
}

static void on_late(struct source *s)
{
	struct workloads *c = s->data;
	unsigned int kept = 0;

	loop_timer_drain(s->fd);
	for (unsigned int i = 0; i < c->nr_unborn; i++)
		if (!find_born(c, c->unborn[i]))
			c->unborn[kept++] = c->unborn[i];
	c->nr_unborn = ++c->asked < UNBORN_TIMES ? kept : 0;
	if (c->nr_unborn)
		return;
	c->asked = 0;
	loop_timer_rearm(s->fd, 0, 0);
}

void workloads_cgroup_gone(struct workloads *c, const struct owner *owner)
{
	struct place *p = owner->hierarchy == c->env->kernel.task_hierarchy ? find_place(c, owner->id) : NULL;

	if (p)
		remove_place(c, p);
}

static bool is_due(const struct place *p)
{
	return now_ns() - p->asked_ns >= (p->asked_ns - p->since_ns) / SETTLE_SLOWER;
}

static void on_settle(struct source *s)
{
	struct workloads *c = s->data;
	struct place *p;

	loop_timer_drain(s->fd);
	c->nr_unsettled = 0;
	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket) {
			if (is_settled(p))
				continue;
			if (is_due(p))
				ask_name(p);
			c->nr_unsettled += !is_settled(p);
		}
	if (!c->nr_unsettled)
		loop_timer_rearm(s->fd, 0, 0);
}

static void scan_cgroups(struct workloads *c)
{
	const struct hierarchy *h = kernel_task_hierarchy(&c->env->kernel);
	char *roots[] = { (char *)(h ? h->mount : ""), NULL };
	FTS *tree = h ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL) : NULL;
	FTSENT *entry;
	struct place *p;

	while (tree && (entry = fts_read(tree))) {
		if (entry->fts_info != FTS_D || entry->fts_level == FTS_ROOTLEVEL)
			continue;
		p = find_place(c, entry->fts_statp->st_ino);
		if (p)
			p->seen = true;
		else
			add_place(c, entry->fts_statp->st_ino, entry->fts_statp->st_uid, entry->fts_path + strlen(h->mount));
	}
	if (tree)
		fts_close(tree);
}

static void forget_seen(struct workloads *c)
{
	struct place *p;

	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket)
			p->seen = false;
}

static void remove_unseen(struct workloads *c)
{
	struct place *p, *next;

	for (unsigned int i = 0; i < BUCKETS; i++)
		for (p = LIST_FIRST(&c->places[i]); p; p = next) {
			next = LIST_NEXT(p, in_bucket);
			if (!p->seen)
				remove_place(c, p);
		}
}

void workloads_for_each_container(struct workloads *c, void (*emit)(void *data, const struct container_name *name), void *data)
{
	struct place *p;

	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket)
			if (!p->waits)
				emit(data, &p->name);
}

void workloads_collect(const struct workloads *c, struct metrics *m)
{
	struct family *f =
		metrics_family(m, "nestor_containers_over_limit_total", METRIC_COUNTER,
			       "Cgroups that policy does not reach, as there are too many; each time they are seen.");

	metrics_u64(f, "", c->over_limit);
}

/* ---- VMs ---- */

static void on_vm_born(void *data, const struct workload *one)
{
	tell_born(data, one);
}

static void on_vm_gone(void *data, const struct workload *one)
{
	tell_gone(data, one);
}

static void on_vm_renamed(void *data, __u64 id)
{
	const struct workloads *c = data;

	if (c->renamed)
		c->renamed(c->data, &(struct owner){ .id = id, .hierarchy = OWNER_VM });
}

static bool name_vm(const struct vm *vm, struct owner_info *info)
{
	if (!vm)
		return false;
	info->name[0] = info->short_id[0] = '\0';
	memcpy(info->vm, vm->name, sizeof(info->vm));
	memcpy(info->path, vm->look.path, sizeof(info->path));
	snprintf(info->runtime, sizeof(info->runtime), "%.*s", (int)sizeof(info->runtime) - 1, vm->process.vmm);
	return true;
}

bool workloads_name_vm(const struct workloads *c, __u64 id, struct owner_info *info)
{
	return name_vm(vm_list_find(c->vms, id), info);
}

bool workloads_name_vms_cgroup(const struct workloads *c, const char *path, struct owner_info *info)
{
	return name_vm(vm_list_alone(c->vms, path), info);
}

struct vm_list *workloads_vms(const struct workloads *c)
{
	return c->vms;
}

/* ---- life ---- */

void workloads_scan(struct workloads *c)
{
	forget_seen(c);
	scan_cgroups(c);
	remove_unseen(c);
	vm_list_scan(c->vms);
}

void workloads_on_renamed(struct workloads *c, void (*renamed)(void *data, const struct owner *owner), void *data)
{
	c->renamed = renamed;
	c->data = data;
}

int workloads_open(struct env *env, struct looker *looker, struct bpf_map *vms, struct bpf_map *any, struct workloads **ret)
{
	struct workloads *c = calloc(1, sizeof(*c));
	const struct vm_events events = { on_vm_born, on_vm_gone, on_vm_renamed, c };
	int err;

	if (!c)
		return log_error(-ENOMEM, "who: out of memory");
	*ret = c; /* workloads_close() frees it, also after an error */
	c->env = env;
	c->looker = looker;
	c->settle = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_settle, .data = c };
	c->late = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_late, .data = c };
	err = loop_add(&env->loop, &c->settle) ?: loop_add(&env->loop, &c->late);
	return err ?: vm_list_open(env, looker, vms, any, &events, &c->vms);
}

void workloads_close(struct workloads *c)
{
	struct place *p;

	if (!c)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++)
		while ((p = LIST_FIRST(&c->places[i])))
			remove_place(c, p);
	vm_list_close(c->vms);
	loop_remove(&c->env->loop, &c->settle);
	loop_remove(&c->env->loop, &c->late);
	free(c);
}
