// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/base/metrics.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/who/vm_links.h"
#include "agent/who/vm_list.h"

/* VMs open descriptors, and older kernels start vhost threads for them, long after exec. */
#define LOOK_EVERY_NS (5ULL * 1000000000)
/* After news of a tap: its VM is about to open it, or has just done so. */
#define LOOK_SOON_NS (50ULL * 1000000)
/* No event tells of the daemon that a VMM becomes by forking twice: so often, and so long after, it is looked for. */
#define DAEMON_EVERY_NS (200ULL * 1000000)
#define DAEMON_NS (10ULL * 1000000000)
/* Processes that ran a new program and were not looked at yet; for more than that all are looked at. */
#define EXECS_MAX 256

struct guest {
	__u64 id; /* value of who_vms */
	struct vm vm;
	struct workload one;
	struct vm_list *list;
	struct look look;
	bool told; /* it was born */
	bool named; /* by what it told, not for lack of that */
	LIST_ENTRY(guest) entry;
};

struct vm_list {
	struct env *env;
	struct looker *looker;
	struct vm_events events;
	struct vouch vouch;
	int vms_fd, any_fd;
	LIST_HEAD(, guest) guests;
	struct look scan, exec;
	int execs[EXECS_MAX]; /* a ring */
	unsigned int first_exec, nr_execs;
	bool found; /* the process that ran a new program runs a VMM */
	bool scan_again; /* what was told meanwhile may have been missed */
	bool look_soon; /* the timer runs for news of taps */
	__u64 daemons_until_ns; /* a VMM may become a daemon; 0: none */
	__u64 looked_ns; /* at all VMs, the last time */
	__u64 over_limit; /* processes that found no place, each time they were seen */
	struct source timer, links;
};

/* ---- the list ---- */

/* A process number and when it began: no other VM ever had both (pid_max is 2^22 at most). */
static __u64 id_of(const struct vm_process *one)
{
	return one->start << 22 | (__u64)one->pid;
}

static struct guest *find(const struct vm_list *l, __u64 id)
{
	struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->id == id)
			return g;
	return NULL;
}

static void mark_task(const struct vm_list *l, int pid, __u64 id)
{
	__u32 key = (__u32)pid;

	bpf_map_update_elem(l->vms_fd, &key, &id, BPF_ANY);
}

static void tell_any(const struct vm_list *l)
{
	__u32 first = 0, any = 0;
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		any |= g->told;
	bpf_map_update_elem(l->any_fd, &first, &any, BPF_ANY);
}

/* How soon all VMs, or for a daemon all processes, are looked at. */
static void set_timer(struct vm_list *l)
{
	__u64 every = l->daemons_until_ns ? DAEMON_EVERY_NS : LIST_EMPTY(&l->guests) ? 0 : LOOK_EVERY_NS;

	loop_timer_rearm(l->timer.fd, l->look_soon ? LOOK_SOON_NS : every, every);
}

static void expect_daemon(struct vm_list *l)
{
	bool already = l->daemons_until_ns != 0;

	l->daemons_until_ns = now_ns() + DAEMON_NS;
	if (!already)
		set_timer(l);
}

/* ---- names ---- */

static bool is_taken(const struct vm_list *l, const struct guest *by, const char *name)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g != by && g->told && !strcmp(g->vm.name, name))
			return true;
	return false;
}

/*
 * A VM that is not vouched for is called after its user, as a container of a user's is (container_name.h): it takes nobody's
 * name, and nobody's counts. Of those that are, the first one of a name keeps it.
 */
static void set_name(const struct vm_list *l, struct guest *g)
{
	const struct vm_process *p = &g->vm.process;
	char name[OWNER_NAME_MAX + 32];
	size_t len;

	if (g->vm.vouched)
		snprintf(name, sizeof(name), "%s", g->vm.look.name);
	else
		snprintf(name, sizeof(name), "user@%u/%s", p->uid, g->vm.look.name);
	snprintf(g->vm.name, sizeof(g->vm.name), "%.*s", OWNER_NAME_MAX - 1, name);
	len = strlen(g->vm.name);
	if (len > OWNER_NAME_MAX - 16)
		len = OWNER_NAME_MAX - 16;
	if (is_taken(l, g, g->vm.name))
		snprintf(g->vm.name + len, sizeof(g->vm.name) - len, ":%d", p->pid);
}

static void set_one(struct guest *g)
{
	g->one = (struct workload){ .vm = g->vm.name,
				    .container = "",
				    .path = g->vm.look.path,
				    .pid = g->vm.process.pid,
				    .vouched = g->vm.vouched,
				    .taps = g->vm.look.taps[0] ? g->vm.look.taps : NULL };
}

/* ---- births and deaths ---- */

static void be_born(struct vm_list *l, struct guest *g)
{
	set_name(l, g);
	set_one(g);
	g->told = true;
	mark_task(l, g->vm.process.pid, g->id);
	tell_any(l);
	log_debug("who: VM %s, pid %d (%s)", g->vm.name, g->vm.process.pid, g->vm.process.vmm);
	l->events.born(l->events.data, &g->one);
}

static void rename_guest(struct vm_list *l, struct guest *g)
{
	l->events.gone(l->events.data, &g->one);
	be_born(l, g);
	l->events.renamed(l->events.data, g->id);
}

static void set_vouched(struct vm_list *l, struct guest *g, bool vouched)
{
	bool changed = vouched != g->vm.vouched;

	g->vm.vouched = vouched;
	if (changed && g->told)
		rename_guest(l, g);
}

static void remove_guest(struct vm_list *l, struct guest *g)
{
	__u32 pid = (__u32)g->vm.process.pid;

	looker_drop(l->looker, &g->look);
	LIST_REMOVE(g, entry);
	if (g->told) {
		bpf_map_delete_elem(l->vms_fd, &pid);
		l->events.gone(l->events.data, &g->one);
		tell_any(l);
	}
	free(g);
}

/* ---- looks at one ---- */

static void ask(struct guest *g)
{
	const struct vm_process *p = &g->vm.process;

	if (g->look.asked)
		return;
	g->look.class = g->vm.vouched ? LOOK_TRUSTED : LOOK_OTHERS;
	g->look.again = g->named;
	g->look.group = g->vm.vouched ? looker_hash(p->path) : p->uid;
	looker_ask(g->list->looker, &g->look);
}

/* Without a look a VM is called by its cgroup, if libvirt made that, and has no taps that we know of. */
static void be_born_unread(struct vm_list *l, struct guest *g)
{
	const struct cmdline none = { .text = "" };
	struct vm *vm = &g->vm;

	vm_name(vm->process.vmm, &none, vm->process.path, vm->process.pid, vm->look.name);
	memcpy(vm->look.path, vm->process.path, sizeof(vm->look.path));
	be_born(l, g);
}

/* Cgroups change: it may be vouched for now, or not any more. */
static bool vouch_again(const struct vm_list *l, struct guest *g)
{
	bool was = g->vm.vouched;

	memcpy(g->vm.process.path, g->vm.look.path, sizeof(g->vm.process.path));
	g->vm.vouched = vouch_for(&l->vouch, &g->vm.process);
	return g->vm.vouched != was;
}

/* Its name stays as it was read first. */
static void take_look(struct vm_list *l, struct guest *g, const struct vm_look *look)
{
	struct vm_look was = g->vm.look;
	bool named = g->named, again;

	g->vm.look = *look;
	g->named = true;
	if (named)
		memcpy(g->vm.look.name, was.name, sizeof(was.name));
	again = vouch_again(l, g) || !named;
	if (!g->told)
		be_born(l, g);
	else if (again)
		rename_guest(l, g);
	else if (was.vhost != look->vhost || strcmp(was.path, look->path) || memcmp(was.taps, look->taps, sizeof(was.taps))) {
		set_one(g);
		l->events.born(l->events.data, &g->one);
	}
}

static void on_look(struct look *look, const struct look_reply *reply)
{
	struct guest *g = look->data;
	struct vm_list *l = g->list;
	bool read = reply->part == LOOK_PART_VM;

	if ((read && reply->vm.waits) || (!read && reply->error == -ESRCH)) {
		expect_daemon(l); /* one that has ended may have been one that waited for it, too */
		remove_guest(l, g);
	} else if (read) {
		take_look(l, g, &reply->vm);
	} else if (!g->told) {
		be_born_unread(l, g);
	}
}

static void look_at_all(struct vm_list *l)
{
	struct guest *g;

	l->looked_ns = now_ns();
	LIST_FOREACH (g, &l->guests, entry)
		ask(g);
}

/* ---- looks for new ones ---- */

/* No user takes the places of others, and nobody those of VMs that are vouched for. */
static bool has_place(const struct vm_list *l, const struct vm *vm)
{
	unsigned int vouched = 0, others = 0, users = 0;
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry) {
		vouched += g->vm.vouched;
		others += !g->vm.vouched;
		users += !g->vm.vouched && g->vm.process.uid == vm->process.uid;
	}
	return vm->vouched ? vouched < VMS_MAX : others < VMS_MAX && users < VMS_USER_MAX;
}

static void add(struct vm_list *l, const struct vm_process *process)
{
	struct vm vm = { .process = *process, .vouched = vouch_for(&l->vouch, process) };
	bool first = LIST_EMPTY(&l->guests) && !l->daemons_until_ns;
	struct guest *g = has_place(l, &vm) ? calloc(1, sizeof(*g)) : NULL;

	if (!g) {
		l->over_limit++;
		return;
	}
	g->id = id_of(process);
	g->vm = vm;
	g->list = l;
	g->look = (struct look){ .type = LOOK_VM, .pid = process->pid, .start = process->start, .answer = on_look, .data = g };
	LIST_INSERT_HEAD(&l->guests, g, entry);
	if (first)
		set_timer(l);
	ask(g);
}

/* One that is known has executed a program: by now it may be another user's. */
static void add_or_vouch(struct vm_list *l, const struct vm_process *process)
{
	struct guest *g = find(l, id_of(process));

	if (!g) {
		add(l, process);
		return;
	}
	g->vm.process = *process;
	set_vouched(l, g, vouch_for(&l->vouch, process));
}

static void on_helper(struct vm_list *l, int tid, int pid)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->told && g->vm.look.vhost && g->vm.process.pid == pid)
			mark_task(l, tid, g->id);
}

static void on_scan(struct look *look, const struct look_reply *reply)
{
	struct vm_list *l = look->data;

	if (reply->part == LOOK_PART_HELPER) {
		on_helper(l, reply->helper.tid, reply->helper.pid);
	} else if (reply->part == LOOK_PART_PROCESS) {
		/* QEMU may have become another user since it began, with -runas: what it was then holds. */
		if (!find(l, id_of(&reply->process)))
			add(l, &reply->process);
	} else if (l->scan_again || reply->error) {
		l->scan_again = false;
		expect_daemon(l); /* which looks at all again soon */
	}
}

static void look_for_new(struct vm_list *l)
{
	if (l->scan.asked)
		l->scan_again = true;
	looker_ask(l->looker, &l->scan);
}

static void next_exec(struct vm_list *l)
{
	if (l->exec.asked || !l->nr_execs)
		return;
	l->exec.pid = l->execs[l->first_exec];
	l->first_exec = (l->first_exec + 1) % EXECS_MAX;
	l->nr_execs--;
	l->found = false;
	looker_ask(l->looker, &l->exec);
}

static void on_exec(struct look *look, const struct look_reply *reply)
{
	struct vm_list *l = look->data;

	if (reply->part == LOOK_PART_PROCESS) {
		l->found = true;
		add_or_vouch(l, &reply->process);
		return;
	}
	/* One that has ended before we look may have been the one that waits for a daemon. */
	if (!l->found)
		expect_daemon(l);
	next_exec(l);
}

void vm_list_exec(struct vm_list *l, int pid)
{
	if (l->nr_execs == EXECS_MAX) {
		expect_daemon(l);
		return;
	}
	l->execs[(l->first_exec + l->nr_execs++) % EXECS_MAX] = pid;
	next_exec(l);
}

void vm_list_exit(struct vm_list *l, __u64 id)
{
	struct guest *g = find(l, id);
	__u32 pid = g ? (__u32)g->vm.process.pid : 0;
	__u64 value;

	/* A thread that worked for it may have gone alone. */
	if (g && g->told && bpf_map_lookup_elem(l->vms_fd, &pid, &value))
		remove_guest(l, g);
}

void vm_list_scan(struct vm_list *l)
{
	look_at_all(l);
	look_for_new(l);
}

static bool has_vhost(const struct vm_list *l)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->vm.look.vhost)
			return true;
	return false;
}

static void on_timer(struct source *s)
{
	struct vm_list *l = s->data;
	bool all = l->look_soon || now_ns() - l->looked_ns >= LOOK_EVERY_NS - LOOK_SOON_NS;

	loop_timer_drain(s->fd);
	l->look_soon = false;
	if (all)
		look_at_all(l);
	if (l->daemons_until_ns || (all && has_vhost(l)))
		looker_ask(l->looker, &l->scan);
	if (now_ns() >= l->daemons_until_ns)
		l->daemons_until_ns = 0;
	set_timer(l);
}

static void on_links(struct source *s)
{
	struct vm_list *l = s->data;

	if (!vm_links_changed(s->fd) || LIST_EMPTY(&l->guests) || l->look_soon)
		return;
	l->look_soon = true;
	set_timer(l);
}

/* ---- asked by others ---- */

void vm_list_vouch(struct vm_list *l, const struct agent_vmm *policy)
{
	struct guest *g;

	vouch_set(&l->vouch, policy);
	LIST_FOREACH (g, &l->guests, entry)
		set_vouched(l, g, vouch_for(&l->vouch, &g->vm.process));
}

const struct vm *vm_list_find(const struct vm_list *l, __u64 id)
{
	const struct guest *g = find(l, id);

	return g && g->told ? &g->vm : NULL;
}

/* Are all processes of the cgroup the VM's, or kernel threads that work for it? */
static bool is_alone(const struct vm_list *l, const struct guest *g)
{
	const struct hierarchy *h = kernel_task_hierarchy(&l->env->kernel);
	char path[OWNER_PATH_MAX + 256];
	_fclose_ FILE *procs = NULL;
	__u32 pid;
	__u64 id;

	snprintf(path, sizeof(path), "%s%s/cgroup.procs", h ? h->mount : "", g->vm.look.path);
	procs = fopen(path, "re");
	while (procs && fscanf(procs, "%u", &pid) == 1)
		if (bpf_map_lookup_elem(l->vms_fd, &pid, &id) || id != g->id)
			return false;
	return procs;
}

const struct vm *vm_list_alone(const struct vm_list *l, const char *path)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->told && !strcmp(g->vm.look.path, path) && strcmp(path, "/") != 0 && is_alone(l, g))
			return &g->vm;
	return NULL;
}

void vm_list_for_each(struct vm_list *l, void (*emit)(void *data, const struct vm *vm), void *data)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->told)
			emit(data, &g->vm);
}

void vm_list_for_each_workload(struct vm_list *l, void (*emit)(void *data, const struct workload *one), void *data)
{
	const struct guest *g;

	LIST_FOREACH (g, &l->guests, entry)
		if (g->told)
			emit(data, &g->one);
}

void vm_list_collect(const struct vm_list *l, struct metrics *m)
{
	struct family *f =
		metrics_family(m, "nestor_vms_over_limit_total", METRIC_COUNTER,
			       "Processes that run a VMM and are no VMs here, as there are too many; each time they are seen.");

	metrics_u64(f, "", l->over_limit);
}

/* ---- life ---- */

int vm_list_open(struct env *env, struct looker *looker, struct bpf_map *vms, struct bpf_map *any,
		 const struct vm_events *events, struct vm_list **ret)
{
	struct vm_list *l = calloc(1, sizeof(*l));

	if (!l)
		return log_error(-ENOMEM, "who: out of memory");
	l->env = env;
	l->looker = looker;
	l->events = *events;
	l->vms_fd = bpf_map__fd(vms);
	l->any_fd = bpf_map__fd(any);
	l->scan = (struct look){ .type = LOOK_SCAN, .class = LOOK_SCANS, .answer = on_scan, .data = l };
	l->exec = (struct look){ .type = LOOK_PROCESS, .class = LOOK_SAFE, .answer = on_exec, .data = l };
	l->timer = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_timer, .data = l };
	l->links = (struct source){ .fd = vm_links_open(), .ready = on_links, .data = l };
	*ret = l; /* vm_list_close() frees it, also after an error */
	return loop_add(&env->loop, &l->timer) ?: loop_add(&env->loop, &l->links);
}

void vm_list_close(struct vm_list *l)
{
	struct guest *g;

	if (!l)
		return;
	while ((g = LIST_FIRST(&l->guests)))
		remove_guest(l, g);
	looker_drop(l->looker, &l->scan);
	looker_drop(l->looker, &l->exec);
	loop_remove(&l->env->loop, &l->timer);
	loop_remove(&l->env->loop, &l->links);
	free(l);
}
