// SPDX-License-Identifier: GPL-2.0
/*
 * Limits of the room net: who is limited, by bpf/net/netlimit.bpf.c, and at which rate. Programs stay attached and maps
 * pinned when the agent ends, however it ends; what they are for is found again by the cgroups and interfaces that the
 * links are attached to. A reload writes numbers, and attaches or detaches only what is new or no longer wanted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/lib/log.h"
#include "agent/net/net.h"
#include "agent/net/limit.h"
#include "agent/net/pinned_links.h"
#include "agent/lib/util.h"
#include "build/bpf/net/net.skel.h"
#include "build/bpf/net/netlimit.skel.h"

/* How long new ones are without fq: until then their packets are dropped, not delayed. */
#define LOOK_SOON_NS 100000000ULL
#define LOOK_EVERY_NS 2000000000ULL

/* ---- rules ---- */

static const struct net_policy *policy_of(const struct net_limits *l)
{
	return policy_section(l->env->policy, &policy_net);
}

static const struct net_limit *find_rule(const struct net_policy *p, const struct workload *one)
{
	for (unsigned int i = 0; i < p->limits_count; i++) {
		const struct net_limit *rule = &p->limits[i];

		if (!rule->migration && who_matches(one, rule->container, rule->vm))
			return rule;
	}
	return NULL;
}

static const struct net_limit *find_migration_rule(const struct net_policy *p, enum migration_kind kind)
{
	for (unsigned int i = 0; i < p->limits_count; i++)
		if (p->limits[i].migration == kind + 1)
			return &p->limits[i];
	return NULL;
}

/* BPF reads while we write: each number is written at once. */
static void write_lane(struct net_limits *l, __u32 lane, __u64 rate, __u32 weight)
{
	struct netlimit_rule *r = &l->rules[lane];

	__atomic_store_n(&r->enforce, policy_of(l)->mode == MODE_ENFORCE, __ATOMIC_RELAXED);
	__atomic_store_n(&r->weight, weight, __ATOMIC_RELAXED);
	__atomic_store_n(&r->rate, rate, __ATOMIC_RELAXED);
}

/* @rule NULL: no limits */
static void write_slot(struct net_limits *l, __u32 slot, const struct net_limit *rule)
{
	write_lane(l, slot * 2 + NETLIMIT_EGRESS, rule ? rule->egress : 0, rule ? rule->weight : 0);
	write_lane(l, slot * 2 + NETLIMIT_INGRESS, rule ? rule->ingress : 0, 0);
}

/* ---- slots ---- */

static bool is_taken(const struct net_limits *l, __u32 slot)
{
	const struct net_subject *s;

	LIST_FOREACH (s, &l->subjects, entry)
		if (s->slot == slot)
			return true;
	return false;
}

static void clear_counts(struct net_limits *l, __u32 slot)
{
	static const struct netlimit_lane none;

	for (__u32 lane = slot * 2; lane <= slot * 2 + 1; lane++)
		bpf_map_update_elem(bpf_map__fd(l->bpf->maps.netlimit_lanes), &lane, &none, BPF_F_LOCK);
}

/* 0: all are taken */
static __u32 take_slot(struct net_limits *l)
{
	for (__u32 slot = NETLIMIT_SLOT_FIRST; slot < NETLIMIT_SLOTS; slot++)
		if (!is_taken(l, slot)) {
			clear_counts(l, slot);
			return slot;
		}
	return 0;
}

/* ---- putting in force ---- */

static void set_failure(struct net_subject *s, int err)
{
	const char *why = err == -ENOSPC ? "full" : net_is_vm(s) && err == -ENODEV ? "no_tap" : err ? "attach" : NULL;

	if (why && why != s->failure)
		log_warning("net: %s%s cannot be limited: %s", s->one->vm, s->one->container,
			    err == -ENOSPC   ? "too many are"
			    : err == -ENODEV ? "it has no network interface of this machine"
					     : strerror(-err));
	s->failure = why;
}

/* Detaching is for the next look, when nothing wants it. */
static void limit_one(struct net_limits *l, struct net_subject *s)
{
	const struct net_limit *rule = s->one ? find_rule(policy_of(l), s->one) : NULL;
	int err = 0;

	s->limited = rule != NULL;
	if (!s->limited) {
		s->failure = NULL;
		return;
	}
	if (!s->slot)
		s->slot = take_slot(l);
	if (s->slot) {
		write_slot(l, s->slot, rule);
		err = net_is_vm(s) ? net_attach_vm(l, s) : net_attach_container(l, s);
	}
	set_failure(s, s->slot ? err : -ENOSPC);
}

static void limit_migration(struct net_limits *l, const struct net_policy *p)
{
	int err;

	l->migration = false;
	for (unsigned int kind = 0; kind < MIGRATION_KINDS; kind++) {
		const struct net_limit *rule = find_migration_rule(p, kind);

		l->migration |= rule != NULL;
		write_slot(l, NETLIMIT_SLOT_MIGRATION + kind, rule);
	}
	err = l->migration ? net_attach_migration(l) : 0;
	if (err)
		log_warning("net: migrations cannot be limited: %s", strerror(-err));
}

/* ---- taking back ---- */

static const struct net_subject *find_by_tap(const struct net_limits *l, __u32 ifindex)
{
	const struct net_subject *s;

	LIST_FOREACH (s, &l->subjects, entry)
		if (net_is_vm(s) && s->limited && who_has_tap(s->one, ifindex))
			return s;
	return NULL;
}

static const struct net_subject *find_by_slot(const struct net_limits *l, __u32 slot)
{
	const struct net_subject *s;

	LIST_FOREACH (s, &l->subjects, entry)
		if (s->slot == slot)
			return s;
	return NULL;
}

static bool is_wanted(void *data, const struct net_pin *pin)
{
	const struct net_limits *l = data;
	const char *program = pin->program + strlen("netlimit_");
	const struct net_subject *s;

	if (!strncmp(program, "mig_", strlen("mig_")))
		return l->migration;
	if (!strncmp(program, "tap_", strlen("tap_")))
		return find_by_tap(l, pin->number);
	s = !strcmp(program, "send") || !strcmp(program, "recv") ? find_by_slot(l, pin->number) : NULL;
	return s && s->limited;
}

static void forget_taps(struct net_limits *l)
{
	const int fd = bpf_map__fd(l->bpf->maps.netlimit_taps);
	struct bpfobj_table t;

	if (bpfobj_table_read(l->bpf->maps.netlimit_taps, &t))
		return;
	for (size_t i = 0; i < t.nr; i++) {
		const __u32 *tap = bpfobj_table_key(&t, i);

		if (!find_by_tap(l, *tap))
			bpf_map_delete_elem(fd, tap);
	}
	bpfobj_table_free(&t);
}

static void remove_subject(struct net_subject *s)
{
	LIST_REMOVE(s, entry);
	free(s);
}

/* After the programs are gone: frees slots of those that are not limited any more. */
static void release(struct net_limits *l)
{
	struct net_subject *s, *next;

	for (s = LIST_FIRST(&l->subjects); s; s = next) {
		next = LIST_NEXT(s, entry);
		if (s->limited)
			continue;
		if (s->slot && l->bpf)
			write_slot(l, s->slot, NULL);
		s->slot = 0;
		if (!s->one)
			remove_subject(s);
	}
}

/* ---- looking around ---- */

static void want_fq(struct net_limits *l, const struct net_subject *s)
{
	bool enforce = l->bpf && policy_of(l)->mode == MODE_ENFORCE;
	int pid;

	if (net_is_vm(s)) {
		for (const unsigned int *tap = s->one->taps; enforce && s->limited && tap && *tap; tap++)
			net_fq_want_tap(l->fq, *tap);
		return;
	}
	if (!s->one || (!(enforce && s->limited) && !s->slot && l->looked))
		return;
	pid = net_cgroup_process(l, s->one->path);
	if (pid && enforce && s->limited)
		net_fq_want_process(l->fq, pid);
	else if (pid)
		net_fq_see_process(l->fq, pid);
}

static void look(struct net_limits *l)
{
	const struct net_subject *s;

	net_fq_begin(l->fq);
	if (l->bpf && policy_of(l)->mode == MODE_ENFORCE && l->migration)
		net_fq_want_host(l->fq);
	LIST_FOREACH (s, &l->subjects, entry)
		want_fq(l, s);
	l->looked = true;
	net_pins_sweep(l->env->pin_dir, is_wanted, l);
	if (l->bpf)
		forget_taps(l);
	net_fq_end(l->fq, &l->counts);
	release(l);
}

static void on_look(struct source *source)
{
	struct net_limits *l = source->data;
	bool any = l->migration;
	const struct net_subject *s;

	loop_timer_drain(source->fd);
	l->look_is_near = false;
	look(l);
	LIST_FOREACH (s, &l->subjects, entry)
		any |= s->limited;
	if (!any) /* nothing until policy or a birth has it */
		loop_timer_rearm(source->fd, 0, 0);
}

/* Not later and later, where containers come and go all the time. */
static void look_soon(struct net_limits *l)
{
	if (l->look_is_near)
		return;
	l->look_is_near = true;
	loop_timer_rearm(l->look.fd, LOOK_SOON_NS, LOOK_EVERY_NS);
}

/* ---- births and deaths ---- */

static struct net_subject *find_subject(const struct net_limits *l, const struct workload *one, __u64 cgroup)
{
	struct net_subject *s;

	LIST_FOREACH (s, &l->subjects, entry)
		if (s->one ? s->one == one : cgroup && s->cgroup == cgroup)
			return s;
	return NULL;
}

static struct net_subject *add_subject(struct net_limits *l)
{
	struct net_subject *s = calloc(1, sizeof(*s));

	if (s)
		LIST_INSERT_HEAD(&l->subjects, s, entry);
	return s;
}

/* A VM that a former agent limited still has the slot that its taps have. */
static __u32 slot_of_taps(const struct net_limits *l, const struct workload *vm)
{
	struct netlimit_place place;

	for (const unsigned int *tap = vm->taps; l->bpf && tap && *tap; tap++)
		if (!bpf_map_lookup_elem(bpf_map__fd(l->bpf->maps.netlimit_taps), tap, &place) && !is_taken(l, place.slot))
			return place.slot;
	return 0;
}

static void on_born(void *data, const struct workload *one)
{
	struct net_limits *l = data;
	__u64 cgroup = one->vm[0] ? 0 : net_cgroup_id(l, one->path);
	struct net_subject *s = find_subject(l, one, cgroup);

	if (!s)
		s = add_subject(l);
	if (!s)
		return;
	s->one = one;
	s->cgroup = cgroup;
	if (one->vm[0] && !s->slot)
		s->slot = slot_of_taps(l, one);
	if (!l->applied)
		return;
	limit_one(l, s);
	if (s->limited || s->slot)
		look_soon(l);
}

/* Its name may have changed only: then it is born at once under the new one, and a program that is wanted stays. */
static void on_gone(void *data, const struct workload *one)
{
	struct net_limits *l = data;
	struct net_subject *s = find_subject(l, one, 0);

	if (!s)
		return;
	s->one = NULL;
	s->limited = false;
	if (s->slot)
		look_soon(l);
	else
		remove_subject(s);
}

/* Containers that a former agent limited; their slots are taken until it is known who they are. */
static bool remember(void *data, const struct net_pin *pin)
{
	struct net_limits *l = data;
	struct net_subject *s;

	if (!pin->id || (strcmp(pin->program, "netlimit_send") != 0 && strcmp(pin->program, "netlimit_recv") != 0) ||
	    pin->number >= NETLIMIT_SLOTS || find_by_slot(l, pin->number))
		return true;
	s = add_subject(l);
	if (!s)
		return true;
	s->cgroup = pin->id;
	s->slot = pin->number;
	return true;
}

/* ---- life ---- */

static const char *find_obstacle(const struct env *env)
{
	if (strcmp(kernel_cgroup_mode(&env->kernel), "v2") != 0)
		return "containers are in cgroups of version 1 here, and only those of version 2 can be limited";
	if (!kernel_can_limit(&env->kernel))
		return "it takes Linux 6.12 or newer";
	return env->pin_dir ? NULL : "nothing is limited by --check";
}

static void *map_array(const struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map), page = (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, (size + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static void unmap_array(const struct bpf_map *map, void *at)
{
	size_t size = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map), page = (size_t)sysconf(_SC_PAGESIZE);

	if (at)
		munmap(at, (size + page - 1) / page * page);
}

static int load(struct net_limits *l, struct net *n)
{
	int err;

	l->bpf = netlimit_bpf__open();
	if (!l->bpf)
		return log_error(-errno, "net: cannot open the BPF object of limits: %m");
	err = bpfobj_pin(l->bpf->obj, l->env->pin_dir, &l->env->counters_reset);
	if (!err)
		err = bpf_map__reuse_fd(l->bpf->maps.net_sockets, bpf_map__fd(n->bpf->maps.net_sockets));
	if (!err)
		err = netlimit_bpf__load(l->bpf);
	if (err)
		return log_error(err, "net: the kernel refuses the BPF programs of limits: %s", strerror(-err));
	l->rules = map_array(l->bpf->maps.netlimit_rules);
	l->link = map_array(l->bpf->maps.netlimit_rate);
	if (!l->rules || !l->link)
		return log_error(-ENOMEM, "net: cannot map the rules of limits: %m");
	return 0;
}

static int watch(struct net_limits *l)
{
	int err = net_fq_open(&l->fq);

	if (err)
		return err;
	net_pins_sweep(l->env->pin_dir, remember, l);
	l->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = l };
	who_watch(l->env->who, &l->watch);
	l->watching = true;
	return 0;
}

static int begin(struct net_limits *l, struct net *n)
{
	int err = load(l, n);

	if (err)
		return err;
	l->look = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_look, .data = l };
	err = l->look.fd < 0 ? l->look.fd : loop_add(&l->env->loop, &l->look);
	return err ?: watch(l);
}

static struct net_limits *new_limits(struct env *env)
{
	struct net_limits *l = calloc(1, sizeof(*l));

	if (l) {
		l->env = env;
		l->look.fd = -1;
	}
	return l;
}

static void free_limits(struct net_limits *l)
{
	if (l->watching)
		who_unwatch(l->env->who, &l->watch);
	if (l->look.fd >= 0)
		loop_remove(&l->env->loop, &l->look);
	while (!LIST_EMPTY(&l->subjects))
		remove_subject(LIST_FIRST(&l->subjects));
	net_fq_close(l->fq);
	if (l->bpf) {
		unmap_array(l->bpf->maps.netlimit_rules, l->rules);
		unmap_array(l->bpf->maps.netlimit_rate, l->link);
	}
	netlimit_bpf__destroy(l->bpf);
	free(l);
}

int net_limit_start(struct net *n)
{
	n->limits = new_limits(n->env);
	if (!n->limits)
		return log_error(-ENOMEM, "net: out of memory");
	n->limits->impossible = find_obstacle(n->env);
	return n->limits->impossible ? 0 : begin(n->limits, n);
}

int net_limit_apply(struct net *n, const struct net_policy *p)
{
	struct net_limits *l = n->limits;
	struct net_subject *s;

	if (l->impossible) {
		if (p->limits_count && n->env->pin_dir)
			log_warning("net: no limits: %s", l->impossible);
		return 0;
	}
	l->applied = true;
	__atomic_store_n(l->link, p->link, __ATOMIC_RELAXED);
	LIST_FOREACH (s, &l->subjects, entry)
		limit_one(l, s);
	limit_migration(l, p);
	look(l);
	look_soon(l);
	return 0;
}

void net_limit_stop(struct net *n)
{
	if (n->limits)
		free_limits(n->limits);
	n->limits = NULL;
}

void net_limit_undo(struct env *env)
{
	struct net_limits *l = find_obstacle(env) ? NULL : new_limits(env);

	if (l && !watch(l))
		look(l);
	if (l)
		free_limits(l);
}
