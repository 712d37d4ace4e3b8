// SPDX-License-Identifier: GPL-2.0
/*
 * who: loads bpf/who/who.bpf.c, whose maps all rooms share, and passes on what it tells: to the census of those that live,
 * and to the owners of counters.
 */
#include <errno.h>
#include <fnmatch.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/base/bpfobj.h"
#include "agent/policy/agent.h"
#include "agent/who/looker.h"
#include "agent/who/vm_list.h"
#include "agent/who/workloads.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/who/container_name.h"
#include "agent/who/accounts.h"
#include "agent/lib/util.h"
#include "bpf/lost.h"
#include "build/bpf/who/who.skel.h"

#define CHECK_NS (10ULL * 1000000000)
#define SETTLE_MS 2000 /* at the start */
#define UPDATE_NS (1ULL * 1000000000)

struct who {
	struct env *env;
	struct who_bpf *bpf;
	struct ring_buffer *ring;
	struct source events; /* ring buffer's epoll */
	struct source check; /* timer: what was not told? */
	struct source update; /* timer, runs once after somebody died */
	struct looker *looker;
	struct accounts *owners;
	struct workloads *census;
	unsigned long long events_lost; /* when they were last looked for */
};

/* ---- events ---- */

static int on_event(void *data, void *record, size_t size)
{
	const struct who_event *e = record;
	struct who *w = data;

	if (size < sizeof(*e))
		return 0;
	switch (e->type) {
	case WHO_NEW_OWNER:
		accounts_new(w->owners, &e->owner);
		break;
	case WHO_CGROUP_BORN:
		workloads_cgroup_born(w->census, &e->owner);
		break;
	case WHO_CGROUP_GONE:
		workloads_cgroup_gone(w->census, &e->owner);
		accounts_dead(w->owners, &e->owner);
		loop_timer_rearm(w->update.fd, UPDATE_NS, 0);
		break;
	case WHO_VM_EXEC:
		vm_list_exec(workloads_vms(w->census), (int)e->pid);
		break;
	case WHO_VM_EXIT:
		vm_list_exit(workloads_vms(w->census), e->owner.id);
		break;
	}
	return 0;
}

static void on_events(struct source *s)
{
	ring_buffer__consume(((struct who *)s->data)->ring);
}

void who_update(struct who *w)
{
	ring_buffer__consume(w->ring);
	accounts_update(w->owners);
}

static void on_update(struct source *s)
{
	loop_timer_drain(s->fd);
	who_update(s->data);
}

/* The ring may have been full: then births and deaths were not told. */
static void on_check(struct source *s)
{
	struct who *w = s->data;
	unsigned long long lost = bpfobj_lost(w->bpf->maps.who_lost, LOST_RING_FULL);

	loop_timer_drain(s->fd);
	ring_buffer__consume(w->ring);
	if (lost != w->events_lost)
		workloads_scan(w->census);
	w->events_lost = lost;
	accounts_check(w->owners);
}

/* ---- for rooms ---- */

static const struct bpf_map *shared_map(const struct who *w, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(w->bpf->obj, name);

	return map && !strncmp(name, "who_", 4) ? map : NULL;
}

int who_share(struct who *w, struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, obj) {
		const struct bpf_map *ours = shared_map(w, bpf_map__name(map));
		int err = ours ? bpf_map__set_pin_path(map, NULL) ?: bpf_map__reuse_fd(map, bpf_map__fd(ours)) : 0;

		if (err)
			return log_error(err, "cannot share %s: %s", bpf_map__name(map), strerror(-err));
	}
	return 0;
}

bool who_label(struct who *w, const struct owner *o, struct who_label *ret)
{
	return accounts_label(w->owners, o, ret);
}

void who_add_counters(struct who *w, struct counters *t)
{
	accounts_add_counters(w->owners, t);
}

void who_remove_counters(struct who *w, struct counters *t)
{
	(void)w;
	accounts_remove_counters(t);
}

void who_watch(struct who *w, struct who_watch *watch)
{
	workloads_watch(w->census, watch);
}

void who_unwatch(struct who *w, struct who_watch *watch)
{
	(void)w;
	workloads_unwatch(watch);
}

bool who_matches(const struct workload *one, const char *container, const char *vm)
{
	if (one->vm[0])
		return vm && one->vouched && !fnmatch(vm, one->vm, 0);
	return container && !fnmatch(container, one->container, 0);
}

bool who_has_tap(const struct workload *vm, unsigned int ifindex)
{
	for (const unsigned int *tap = vm->taps; tap && *tap; tap++)
		if (*tap == ifindex)
			return true;
	return false;
}

/* ---- showing ---- */

struct info {
	struct metrics *m;
	struct family *family;
};

static void emit_container(void *data, const struct owner_info *info)
{
	struct info *i = data;

	metrics_u64(i->family,
		    metrics_labels(i->m, "container", info->name, "runtime", info->runtime, "path", info->path, "id",
				   info->short_id, NULL),
		    1);
}

static void emit_vm(void *data, const struct vm *vm)
{
	struct info *i = data;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", vm->process.pid);
	metrics_u64(i->family, metrics_labels(i->m, "vm", vm->name, "vmm", vm->process.vmm, "pid", pid, NULL), 1);
}

static void emit_vouched(void *data, const struct vm *vm)
{
	struct info *i = data;

	metrics_u64(i->family, metrics_labels(i->m, "vm", vm->name, NULL), vm->vouched);
}

void who_collect(struct who *w, struct metrics *m)
{
	struct info i = { .m = m };

	bpfobj_collect(w->bpf->obj, "who", w->bpf->maps.who_lost, 0, m);
	i.family = metrics_family(m, "nestor_container_info", METRIC_GAUGE,
				  "A container that has series: its runtime, its cgroup, the runtime's id; always 1.");
	accounts_for_each_shown(w->owners, emit_container, &i);
	i.family = metrics_family(m, "nestor_vm_info", METRIC_GAUGE, "A VM that runs: its monitor and its process; always 1.");
	vm_list_for_each(workloads_vms(w->census), emit_vm, &i);
	i.family = metrics_family(m, "nestor_vm_vouched", METRIC_GAUGE, "Whether policy may name the VM: 1, or 0.");
	vm_list_for_each(workloads_vms(w->census), emit_vouched, &i);
	vm_list_collect(workloads_vms(w->census), m);
	workloads_collect(w->census, m);
	looker_collect(w->looker, m);
}

static void add_container(void *data, const struct container_name *name)
{
	json_array_append_new(data, json_pack("{s:o, s:s, s:s, s:o}", "container", json_text(name->name), "runtime",
					      name->runtime, "id", name->short_id, "path", json_text(name->path)));
}

json_t *who_show_containers(struct who *w)
{
	json_t *list = json_array();

	workloads_for_each_container(w->census, add_container, list);
	return list;
}

static void add_vm(void *data, const struct vm *vm)
{
	json_t *taps = json_array();

	for (const unsigned int *tap = vm->look.taps; *tap; tap++) {
		char name[IF_NAMESIZE];

		json_array_append_new(taps, json_text(if_indextoname(*tap, name) ?: "?"));
	}
	json_array_append_new(data, json_pack("{s:o, s:s, s:i, s:o, s:b, s:o}", "vm", json_text(vm->name), "vmm",
					      vm->process.vmm, "pid", vm->process.pid, "taps", taps, "vouched", vm->vouched,
					      "path", json_text(vm->look.path)));
}

json_t *who_show_vms(struct who *w)
{
	json_t *list = json_array();

	vm_list_for_each(workloads_vms(w->census), add_vm, list);
	return list;
}

/* ---- life ---- */

void who_vouch(struct who *w)
{
	const struct agent_policy *policy = w->env->policy ? policy_section(w->env->policy, &policy_agent) : NULL;

	if (policy)
		vm_list_vouch(workloads_vms(w->census), &policy->vmm);
}

void who_apply(struct who *w)
{
	accounts_apply(w->owners);
}

static int watch_events(struct who *w)
{
	struct loop *loop = &w->env->loop;

	w->ring = ring_buffer__new(bpf_map__fd(w->bpf->maps.who_events), on_event, w, NULL);
	if (!w->ring)
		return log_error(-errno, "who: ring buffer: %m");
	w->events.fd = dup(ring_buffer__epoll_fd(w->ring)); /* a source closes its own */
	w->check.fd = loop_timer_open(CHECK_NS, CHECK_NS);
	w->update.fd = loop_timer_open(0, 0);
	return loop_add(loop, &w->events) ?: loop_add(loop, &w->check) ?: loop_add(loop, &w->update);
}

static int load(struct who *w)
{
	int err;

	w->bpf = who_bpf__open();
	if (!w->bpf)
		return log_error(-errno, "who: cannot open the BPF object: %m");
	err = bpfobj_pin(w->bpf->obj, w->env->pin_dir, &w->env->counters_reset);
	if (err)
		return err;
	err = who_bpf__load(w->bpf);
	return err ? log_error(err, "who: the kernel refuses the BPF programs: %s", strerror(-err)) : 0;
}

static void on_vm_renamed(void *data, const struct owner *owner)
{
	accounts_vm_renamed(((struct who *)data)->owners, owner);
}

/* Attached before it looks around: whoever comes meanwhile is told, and found to be known. */
static int begin(struct who *w)
{
	int err;

	err = load(w);
	if (!err)
		err = looker_open(&w->env->loop, &w->looker);
	if (!err)
		err = workloads_open(w->env, w->looker, w->bpf->maps.who_vms, w->bpf->maps.who_any_vm, &w->census);
	if (!err)
		err = accounts_open(w->env, w->looker, w->bpf->maps.who_owners, w->census, &w->owners);
	if (!err)
		err = watch_events(w);
	if (err)
		return err;
	err = who_bpf__attach(w->bpf);
	if (err)
		return log_error(err, "who: cannot attach: %s", strerror(-err));
	workloads_on_renamed(w->census, on_vm_renamed, w);
	who_vouch(w);
	workloads_scan(w->census);
	/* Rooms that start find those that are there, but none of them waits for one that does not let itself be looked at. */
	looker_settle(w->looker, SETTLE_MS);
	return 0;
}

int who_start(struct env *env, struct who **ret)
{
	struct who *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return log_error(-ENOMEM, "who: out of memory");
	w->env = env;
	w->events = (struct source){ .fd = -1, .ready = on_events, .data = w };
	w->check = (struct source){ .fd = -1, .ready = on_check, .data = w };
	w->update = (struct source){ .fd = -1, .ready = on_update, .data = w };
	err = begin(w);
	if (err) {
		who_stop(w);
		return err;
	}
	*ret = w;
	return 0;
}

void who_stop(struct who *w)
{
	if (!w)
		return;
	ring_buffer__free(w->ring);
	loop_remove(&w->env->loop, &w->events);
	loop_remove(&w->env->loop, &w->check);
	loop_remove(&w->env->loop, &w->update);
	accounts_close(w->owners);
	workloads_close(w->census);
	looker_close(w->looker);
	who_bpf__destroy(w->bpf);
	free(w);
}
