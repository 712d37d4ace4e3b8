// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/who/workloads.h"
#include "agent/lib/log.h"
#include "agent/who/container_name.h"
#include "agent/lib/util.h"

#define BUCKETS 1024
#define CONTAINERS_MAX 16384
#define HELPERS_MAX 64
#define UNBORN_MAX 256

/* So often names that are not final are asked for again; those of older ones less often: each time a little later. */
#define SETTLE_EVERY_NS (100ULL * 1000000)
#define SETTLE_SLOWER 8 /* after an eighth of its age */
/* The kernel tells of a cgroup a moment before it can be found by its id: so often, and so many times, it is asked again. */
#define UNBORN_EVERY_NS (20ULL * 1000000)
#define UNBORN_TIMES 10
/* VMs open descriptors, and older kernels start vhost threads for them, long after exec. */
#define VMS_EVERY_NS (5ULL * 1000000000)
/* After news of a tap: its VM is about to open it, or has just done so. */
#define VMS_SOON_NS (50ULL * 1000000)
/* No event tells of the daemon that a VMM becomes by forking twice: so often, and so long after, it is looked for. */
#define DAEMON_EVERY_NS (200ULL * 1000000)
#define DAEMON_NS (10ULL * 1000000000)

/* A container's own cgroup, in the hierarchy that tasks are known by. */
struct place {
	__u64 id;
	struct container_name name;
	struct workload one;
	__u64 since_ns, asked_ns; /* asked: for its name */
	bool seen; /* by the scan that runs */
	LIST_ENTRY(place) in_bucket;
};

struct guest {
	__u64 id; /* value of who_vms */
	struct vm vm;
	struct workload one;
	LIST_ENTRY(guest) entry;
};

struct workloads {
	struct env *env;
	int vms_fd, any_fd;
	LIST_HEAD(, place) places[BUCKETS];
	LIST_HEAD(, guest) machines;
	LIST_HEAD(, who_watch) watches;
	unsigned int nr_places, nr_unsettled;
	bool full; /* and it was logged */
	__u64 daemons_until_ns; /* a VMM may become a daemon; 0: none */
	bool look_soon; /* the look timer runs for news of taps */
	__u64 unborn[UNBORN_MAX]; /* told of, but not found yet */
	unsigned int nr_unborn, asked; /* asked: times, since there were none */
	struct source settle, look, late; /* timers; late: runs once for the unborn */
	struct source links; /* news of network interfaces */
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
	struct guest *m;
	struct place *p;

	LIST_INSERT_HEAD(&c->watches, watch, entry);
	for (unsigned int i = 0; i < BUCKETS; i++)
		LIST_FOREACH (p, &c->places[i], in_bucket)
			watch->born(watch->data, &p->one);
	LIST_FOREACH (m, &c->machines, entry)
		watch->born(watch->data, &m->one);
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
	tell_gone(c, &p->one);
	LIST_REMOVE(p, in_bucket);
	c->nr_places--;
	free(p);
}

/* @path is not shortened to its container's: then it is none of its own. The root is not one to be limited. */
static bool is_container(const char *path, const struct container_name *name)
{
	return strcmp(path, "/") != 0 && !strcmp(path, name->path);
}

static void add_place(struct workloads *c, __u64 id, const char *path)
{
	struct container_name name;
	struct place *p;

	container_name("", path, &name);
	if (!is_container(path, &name))
		return;
	p = c->nr_places < CONTAINERS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		if (!c->full)
			log_warning("who: more than %d containers; policy does not reach the others", CONTAINERS_MAX);
		c->full = true;
		return;
	}
	p->id = id;
	p->name = name;
	p->one = (struct workload){ .vm = "", .container = p->name.name, .path = p->name.path };
	p->since_ns = p->asked_ns = now_ns();
	p->seen = true;
	LIST_INSERT_HEAD(&c->places[id % BUCKETS], p, in_bucket);
	c->nr_places++;
	tell_born(c, &p->one);
	if (!name.final && !c->nr_unsettled++)
		loop_timer_rearm(c->settle.fd, SETTLE_EVERY_NS, SETTLE_EVERY_NS);
}

/* False: there is no such cgroup, or none yet. */
static bool find_born(struct workloads *c, __u64 id)
{
	const struct kernel *k = &c->env->kernel;
	char path[OWNER_PATH_MAX];

	if (kernel_cgroup_path(k, k->task_hierarchy, id, path, sizeof(path)))
		return false;
	if (!find_place(c, id))
		add_place(c, id, path);
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

/* Its runtime may have written by now what it is called: then it was one under another name. */
static void rename_place(struct workloads *c, struct place *p)
{
	struct container_name name;

	p->asked_ns = now_ns();
	container_name("", p->name.path, &name);
	if (!strcmp(name.name, p->name.name)) {
		p->name.final = name.final;
		return;
	}
	tell_gone(c, &p->one);
	p->name = name;
	tell_born(c, &p->one);
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
				rename_place(c, p);
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
			add_place(c, entry->fts_statp->st_ino, entry->fts_path + strlen(h->mount));
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
			emit(data, &p->name);
}

/* ---- VMs ---- */

/* A process number and when it began: no other VM ever had both (pid_max is 2^22 at most). */
static __u64 vm_id(const struct vm *vm)
{
	return vm->start << 22 | (__u64)vm->pid;
}

static struct guest *find_machine(const struct workloads *c, __u64 id)
{
	struct guest *m;

	LIST_FOREACH (m, &c->machines, entry)
		if (m->id == id)
			return m;
	return NULL;
}

static bool is_name_taken(const struct workloads *c, const char *name)
{
	struct guest *m;

	LIST_FOREACH (m, &c->machines, entry)
		if (!strcmp(m->vm.name, name))
			return true;
	return false;
}

static void mark_task(const struct workloads *c, int pid, __u64 id)
{
	__u32 key = (__u32)pid;

	bpf_map_update_elem(c->vms_fd, &key, &id, BPF_ANY);
}

static void tell_any(const struct workloads *c)
{
	__u32 first = 0, any = !LIST_EMPTY(&c->machines);

	bpf_map_update_elem(c->any_fd, &first, &any, BPF_ANY);
}

static void mark_tasks(const struct workloads *c, const struct guest *m)
{
	int helpers[HELPERS_MAX], nr = vm_helpers(&m->vm, helpers, HELPERS_MAX);

	mark_task(c, m->vm.pid, m->id);
	for (int i = 0; i < nr; i++)
		mark_task(c, helpers[i], m->id);
}

static void set_one(struct guest *m)
{
	m->one = (struct workload){
		.vm = m->vm.name, .container = "", .path = m->vm.path, .pid = m->vm.pid, .taps = m->vm.taps
	};
}

/* Takes @vm over. */
static void add_machine(struct workloads *c, struct vm *vm)
{
	struct guest *m = find_machine(c, vm_id(vm)) ? NULL : calloc(1, sizeof(*m));
	char name[OWNER_NAME_MAX];

	if (!m) {
		vm_forget(vm);
		return;
	}
	m->id = vm_id(vm);
	m->vm = *vm;
	if (is_name_taken(c, vm->name)) {
		memcpy(name, vm->name, sizeof(name));
		snprintf(m->vm.name, sizeof(m->vm.name), "%.*s:%d", (int)sizeof(name) - 16, name, vm->pid);
	}
	set_one(m);
	if (LIST_EMPTY(&c->machines) && !c->daemons_until_ns)
		loop_timer_rearm(c->look.fd, VMS_EVERY_NS, VMS_EVERY_NS);
	LIST_INSERT_HEAD(&c->machines, m, entry);
	mark_tasks(c, m);
	tell_any(c);
	log_debug("who: VM %s, pid %d (%s)", m->vm.name, m->vm.pid, m->vm.vmm);
	tell_born(c, &m->one);
}

static void remove_machine(struct workloads *c, struct guest *m)
{
	__u32 pid = (__u32)m->vm.pid;

	bpf_map_delete_elem(c->vms_fd, &pid);
	tell_gone(c, &m->one);
	LIST_REMOVE(m, entry);
	tell_any(c);
	vm_forget(&m->vm);
	free(m);
}

static void expect_daemon(struct workloads *c)
{
	if (!c->daemons_until_ns)
		loop_timer_rearm(c->look.fd, DAEMON_EVERY_NS, DAEMON_EVERY_NS);
	c->daemons_until_ns = now_ns() + DAEMON_NS;
}

/* 0; or -errno of vm_look(). */
static int add_if_vm(struct workloads *c, int pid)
{
	struct vm vm;
	int err = vm_look(pid, &vm);

	if (!err)
		add_machine(c, &vm);
	return err;
}

void workloads_exec(struct workloads *c, int pid)
{
	/* One that has ended before we look may have been the one that waits for a daemon. */
	if (add_if_vm(c, pid))
		expect_daemon(c);
}

void workloads_exit(struct workloads *c, const struct owner *owner)
{
	struct guest *m = find_machine(c, owner->id);
	__u32 pid = m ? (__u32)m->vm.pid : 0;
	__u64 id;

	/* A thread that worked for it may have gone alone. */
	if (m && bpf_map_lookup_elem(c->vms_fd, &pid, &id))
		remove_machine(c, m);
}

static void look_again(struct workloads *c, struct guest *m)
{
	struct vm vm;
	int err = vm_look_again(&m->vm, &vm);

	if (err == -ESRCH)
		remove_machine(c, m);
	if (err)
		return;
	if (vm_same(&vm, &m->vm)) {
		vm_forget(&vm);
	} else {
		struct vm was = m->vm;

		m->vm = vm;
		set_one(m);
		tell_born(c, &m->one);
		vm_forget(&was);
	}
	mark_tasks(c, m);
}

static void look_at_machines(struct workloads *c)
{
	struct guest *m, *next;

	for (m = LIST_FIRST(&c->machines); m; m = next) {
		next = LIST_NEXT(m, entry);
		look_again(c, m);
	}
}

static void on_pid_found(void *data, int pid)
{
	if (add_if_vm(data, pid) == -EAGAIN)
		expect_daemon(data);
}

static void on_look(struct source *s)
{
	struct workloads *c = s->data;
	__u64 every = VMS_EVERY_NS;

	loop_timer_drain(s->fd);
	c->look_soon = false;
	look_at_machines(c);
	if (c->daemons_until_ns)
		vm_scan(on_pid_found, c);
	if (now_ns() < c->daemons_until_ns)
		every = DAEMON_EVERY_NS;
	else
		c->daemons_until_ns = 0;
	if (LIST_EMPTY(&c->machines) && !c->daemons_until_ns)
		every = 0;
	loop_timer_rearm(s->fd, every, every);
}

static void on_links(struct source *s)
{
	struct workloads *c = s->data;

	if (!vm_links_changed(s->fd) || LIST_EMPTY(&c->machines) || c->look_soon)
		return;
	c->look_soon = true;
	loop_timer_rearm(c->look.fd, VMS_SOON_NS, VMS_EVERY_NS);
}

static bool name_machine(const struct guest *m, struct owner_info *info)
{
	if (!m)
		return false;
	info->name[0] = info->short_id[0] = '\0';
	memcpy(info->vm, m->vm.name, sizeof(info->vm));
	memcpy(info->path, m->vm.path, sizeof(info->path));
	snprintf(info->runtime, sizeof(info->runtime), "%s", m->vm.vmm);
	return true;
}

bool workloads_name_vm(const struct workloads *c, __u64 id, struct owner_info *info)
{
	return name_machine(find_machine(c, id), info);
}

/* Are all processes of the cgroup the VM's, or kernel threads that work for it? */
static bool is_alone(const struct workloads *c, const struct guest *m)
{
	const struct hierarchy *h = kernel_task_hierarchy(&c->env->kernel);
	char path[OWNER_PATH_MAX + 256];
	_fclose_ FILE *procs = NULL;
	__u32 pid;
	__u64 id;

	snprintf(path, sizeof(path), "%s%s/cgroup.procs", h ? h->mount : "", m->vm.path);
	procs = fopen(path, "re");
	while (procs && fscanf(procs, "%u", &pid) == 1)
		if (bpf_map_lookup_elem(c->vms_fd, &pid, &id) || id != m->id)
			return false;
	return procs;
}

bool workloads_name_vms_cgroup(const struct workloads *c, const char *path, struct owner_info *info)
{
	const struct guest *m;

	LIST_FOREACH (m, &c->machines, entry)
		if (!strcmp(m->vm.path, path) && strcmp(path, "/") != 0 && is_alone(c, m))
			return name_machine(m, info);
	return false;
}

void workloads_for_each_vm(struct workloads *c, void (*emit)(void *data, const struct vm *vm), void *data)
{
	struct guest *m;

	LIST_FOREACH (m, &c->machines, entry)
		emit(data, &m->vm);
}

/* ---- life ---- */

void workloads_scan(struct workloads *c)
{
	forget_seen(c);
	scan_cgroups(c);
	remove_unseen(c);
	look_at_machines(c);
	vm_scan(on_pid_found, c);
}

int workloads_open(struct env *env, struct bpf_map *vms, struct bpf_map *any, struct workloads **ret)
{
	struct workloads *c = calloc(1, sizeof(*c));

	if (!c)
		return log_error(-ENOMEM, "who: out of memory");
	c->env = env;
	c->vms_fd = bpf_map__fd(vms);
	c->any_fd = bpf_map__fd(any);
	c->settle = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_settle, .data = c };
	c->look = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_look, .data = c };
	c->late = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_late, .data = c };
	c->links = (struct source){ .fd = vm_links_open(), .ready = on_links, .data = c };
	*ret = c; /* workloads_close() frees it, also after an error */
	return loop_add(&env->loop, &c->settle) ?: loop_add(&env->loop, &c->look) ?: loop_add(&env->loop, &c->late)
		?: loop_add(&env->loop, &c->links);
}

void workloads_close(struct workloads *c)
{
	struct guest *m;
	struct place *p;

	if (!c)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++)
		while ((p = LIST_FIRST(&c->places[i])))
			remove_place(c, p);
	while ((m = LIST_FIRST(&c->machines)))
		remove_machine(c, m);
	loop_remove(&c->env->loop, &c->settle);
	loop_remove(&c->env->loop, &c->look);
	loop_remove(&c->env->loop, &c->late);
	loop_remove(&c->env->loop, &c->links);
	free(c);
}
