// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/policy/agent.h"
#include "agent/base/bpfobj.h"
#include "agent/who/account_name.h"
#include "agent/who/workloads.h"
#include "agent/lib/log.h"
#include "agent/who/container_name.h"
#include "agent/who/accounts.h"
#include "agent/who/counter_maps.h"
#include "agent/lib/util.h"

static const struct owner REST_OWNER = { .id = OWNER_ID_REST };

/* ---- entries ---- */

static unsigned int bucket_of(const struct owner *owner)
{
	return (unsigned int)((owner->id ^ owner->id >> 22 ^ owner->hierarchy) % BUCKETS);
}

static struct entry *find(const struct accounts *o, const struct owner *owner)
{
	struct entry *e;

	LIST_FOREACH (e, &o->buckets[bucket_of(owner)], in_bucket)
		if (!memcmp(&e->owner, owner, sizeof(*owner)))
			return e;
	return NULL;
}

static struct entry *add(struct accounts *o, const struct owner *owner, const struct owner_info *info)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->owner = *owner;
	e->info = *info;
	e->seen_ns = now_ns();
	e->accounts = o;
	LIST_INSERT_HEAD(&o->buckets[bucket_of(owner)], e, in_bucket);
	TAILQ_INSERT_TAIL(&o->all, e, in_all);
	return e;
}

static void drop(struct accounts *o, struct entry *e)
{
	looker_drop(o->looker, &e->look);
	LIST_REMOVE(e, in_bucket);
	TAILQ_REMOVE(&o->all, e, in_all);
	free(e);
}

/* ---- what is shown ---- */

static const struct agent_policy *policy_of(const struct accounts *o)
{
	return policy_section(o->env->policy, &policy_agent);
}

static bool matches_any(char *const *globs, unsigned int nr, const char *name)
{
	for (unsigned int i = 0; i < nr; i++)
		if (!fnmatch(globs[i], name, 0))
			return true;
	return false;
}

static bool is_wanted(const struct accounts *o, const struct entry *e)
{
	const struct agent_policy *p = policy_of(o);
	const char *name = e->info.vm[0] ? e->info.vm : e->info.name;

	return matches_any(p->include, p->include_count, name) && !matches_any(p->exclude, p->exclude_count, name);
}

/* One of @e's name that is shown, the living before the dead. */
static struct entry *find_shown(const struct accounts *o, const struct entry *e)
{
	struct entry *other, *dead = NULL;

	TAILQ_FOREACH (other, &o->all, in_all) {
		if (other == e || other->info.state != OWNER_SHOWN || !account_name_same(other, e))
			continue;
		if (!other->info.dead_since_ns)
			return other;
		dead = other;
	}
	return dead;
}

static void set_state(struct accounts *o, struct entry *e, enum owner_showing state)
{
	bool others = find_shown(o, e) != NULL;

	if (!others && state == OWNER_SHOWN && e->info.state != OWNER_SHOWN)
		o->nr_shown++;
	if (!others && state != OWNER_SHOWN && e->info.state == OWNER_SHOWN)
		o->nr_shown--;
	e->info.state = state;
	account_name_save(o, e);
}

/* @e's name is no longer shown. */
static void give_up(struct accounts *o, struct entry *e)
{
	struct entry *other;

	while ((other = find_shown(o, e)))
		set_state(o, other, OWNER_REST);
	set_state(o, e, OWNER_REST);
}

/* Of the name of which all are dead, the first of them longest. NULL: all names live. */
static struct entry *oldest_dead(const struct accounts *o)
{
	struct entry *e, *oldest = NULL;

	TAILQ_FOREACH (e, &o->all, in_all) {
		const struct entry *other;

		if (e->info.state != OWNER_SHOWN || !e->info.dead_since_ns)
			continue;
		other = find_shown(o, e);
		if ((!other || other->info.dead_since_ns) && (!oldest || e->info.dead_since_ns < oldest->info.dead_since_ns))
			oldest = e;
	}
	return oldest;
}

static struct entry *last_shown(const struct accounts *o)
{
	struct entry *e;

	TAILQ_FOREACH_REVERSE (e, &o->all, entries, in_all)
		if (e->info.state == OWNER_SHOWN)
			return e;
	return NULL;
}

/* Is there a place for one more name? A dead one makes room. */
static bool make_room(struct accounts *o)
{
	struct entry *dead;

	if (o->nr_shown < policy_of(o)->max_containers)
		return true;
	dead = oldest_dead(o);
	if (dead)
		give_up(o, dead);
	return dead;
}

/* Until then a container of a runtime's is called by its id, which nobody wants to see. */
static bool waits_for_record(const struct entry *e)
{
	return e->look.asked && !e->answered && e->info.short_id[0];
}

/* What becomes of a new one; OWNER_NEW: it is too early to say. */
static enum owner_showing verdict(struct accounts *o, const struct entry *e)
{
	bool named = account_name_is_set(e), wanted = named && is_wanted(o, e);

	if (wanted && find_shown(o, e))
		return OWNER_SHOWN;
	if (e->info.dead_since_ns || (named && !wanted))
		return OWNER_REST;
	if (!named || waits_for_record(e) || now_ns() - e->seen_ns < policy_of(o)->min_age * 1000000000ULL)
		return OWNER_NEW;
	return make_room(o) ? OWNER_SHOWN : OWNER_REST;
}

static void decide(struct accounts *o, struct entry *e)
{
	enum owner_showing state = e->info.state == OWNER_NEW ? verdict(o, e) : OWNER_NEW;

	if (state != OWNER_NEW)
		set_state(o, e, state);
}

bool accounts_label(const struct accounts *o, const struct owner *owner, struct who_label *ret)
{
	const struct entry *e;

	*ret = (struct who_label){ .vm = "", .container = "" };
	if (owner->id == OWNER_ID_NONE)
		return true;
	e = find(o, owner);
	if (owner->id == OWNER_ID_REST || (e && e->info.state == OWNER_REST)) {
		ret->container = WHO_OTHER;
		return true;
	}
	if (!e || e->info.state == OWNER_NEW)
		return false;
	*ret = (struct who_label){ .vm = e->info.vm, .container = e->info.name };
	return true;
}

static int by_name(const struct owner_info *a, const struct owner_info *b)
{
	return strcmp(a->vm, b->vm) ?: strcmp(a->name, b->name);
}

static int by_name_and_path(const void *pa, const void *pb)
{
	const struct owner_info *a = *(const struct owner_info *const *)pa, *b = *(const struct owner_info *const *)pb;

	return by_name(a, b) ?: strcmp(a->path, b->path);
}

/* All that are shown, in order; to be freed. Without memory there are none. */
static const struct owner_info **list_shown(const struct accounts *o, size_t *ret_nr)
{
	const struct owner_info **list;
	const struct entry *e;
	size_t nr = 0;

	TAILQ_FOREACH (e, &o->all, in_all)
		nr += e->info.state == OWNER_SHOWN;
	list = calloc(nr + 1, sizeof(void *));
	*ret_nr = list ? nr : 0;
	nr = 0;
	TAILQ_FOREACH (e, &o->all, in_all)
		if (list && e->info.state == OWNER_SHOWN)
			list[nr++] = &e->info;
	if (list)
		qsort(list, nr, sizeof(void *), by_name_and_path);
	return list;
}

void accounts_for_each_shown(const struct accounts *o, void (*emit)(void *data, const struct owner_info *info), void *data)
{
	size_t nr;
	_free_ const struct owner_info **shown = list_shown(o, &nr);

	for (size_t i = 0; i < nr; i++)
		if (shown[i]->name[0] && (!i || by_name_and_path(&shown[i - 1], &shown[i])))
			emit(data, shown[i]);
}

/* ---- heirs ---- */

/* Those that were never shown have nothing to linger for. */
static bool is_due(const struct accounts *o, const struct entry *e)
{
	if (!e->info.dead_since_ns)
		return false;
	return e->info.state != OWNER_SHOWN || now_ns() - e->info.dead_since_ns >= policy_of(o)->linger * 1000000000ULL;
}

/* A living one of the same name, such as the same service started again; else the rest. */
static const struct owner *heir_of(const struct accounts *o, const struct entry *e)
{
	const struct entry *other = e->info.state == OWNER_SHOWN ? find_shown(o, e) : NULL;

	return other && !is_due(o, other) ? &other->owner : &REST_OWNER;
}

static void move_counts(struct accounts *o, struct heir *heirs, size_t nr)
{
	struct counters *t;

	LIST_FOREACH (t, &o->tallies, entry)
		counter_maps_retire(t, heirs, nr);
}

static void retire(struct accounts *o)
{
	_free_ struct heir *heirs = NULL;
	struct entry *e, *next;
	size_t nr = 0;

	TAILQ_FOREACH (e, &o->all, in_all)
		nr += is_due(o, e);
	if (!nr)
		return;
	heirs = calloc(nr, sizeof(*heirs));
	if (!heirs)
		return;
	nr = 0;
	TAILQ_FOREACH (e, &o->all, in_all)
		if (is_due(o, e))
			heirs[nr++] = (struct heir){ .from = e->owner, .to = *heir_of(o, e) };
	move_counts(o, heirs, nr);
	for (e = TAILQ_FIRST(&o->all); e; e = next) {
		next = TAILQ_NEXT(e, in_all);
		if (!bsearch(&e->owner, heirs, nr, sizeof(*heirs), counter_maps_by_owner))
			continue;
		set_state(o, e, OWNER_REST);
		bpf_map_delete_elem(bpf_map__fd(o->map), &e->owner);
		drop(o, e);
	}
}

/* ---- events ---- */

void accounts_new(struct accounts *o, const struct owner *owner)
{
	struct entry *e = find(o, owner);
	struct owner_info info;

	if (!e && bpf_map_lookup_elem(bpf_map__fd(o->map), owner, &info))
		return;
	if (!e)
		e = add(o, owner, &info);
	if (!e)
		return;
	account_name_look(o, e);
	decide(o, e);
}

void accounts_dead(struct accounts *o, const struct owner *owner)
{
	struct entry *e = find(o, owner);

	if (!e || e->info.dead_since_ns)
		return;
	e->info.dead_since_ns = now_ns();
	account_name_save(o, e);
	decide(o, e);
}

void accounts_vm_renamed(struct accounts *o, const struct owner *owner)
{
	struct entry *e;

	TAILQ_FOREACH (e, &o->all, in_all) {
		bool its_cgroup = e->owner.hierarchy != OWNER_VM && e->info.vm[0];

		if (e->info.dead_since_ns || (!its_cgroup && memcmp(&e->owner, owner, sizeof(*owner)) != 0))
			continue;
		e->final = false;
		account_name_look(o, e);
	}
}

static void count_shown(struct accounts *o)
{
	size_t nr;
	_free_ const struct owner_info **shown = list_shown(o, &nr);

	o->nr_shown = 0;
	for (size_t i = 0; i < nr; i++)
		o->nr_shown += !i || by_name(shown[i - 1], shown[i]);
}

static void keep_to_limit(struct accounts *o)
{
	if (o->renamed)
		count_shown(o);
	o->renamed = false;
	while (o->nr_shown > policy_of(o)->max_containers)
		give_up(o, oldest_dead(o) ?: last_shown(o));
}

void accounts_update(struct accounts *o)
{
	struct entry *e;

	TAILQ_FOREACH (e, &o->all, in_all) {
		if (!e->final && !e->info.dead_since_ns)
			account_name_look(o, e);
		decide(o, e);
	}
	keep_to_limit(o);
	retire(o);
}

static void read_map(struct accounts *o)
{
	struct bpfobj_table t;

	if (bpfobj_table_read(o->map, &t))
		return;
	for (size_t i = 0; i < t.nr; i++)
		if (!find(o, bpfobj_table_key(&t, i)))
			add(o, bpfobj_table_key(&t, i), bpfobj_table_value(&t, i));
	bpfobj_table_free(&t);
}

void accounts_check(struct accounts *o)
{
	struct entry *e;

	read_map(o);
	TAILQ_FOREACH (e, &o->all, in_all)
		account_name_look(o, e);
	accounts_update(o);
}

/*
 * Limits may have changed. Who was one of the rest and can be shown leaves there what it counted so far: a counter
 * must not go back.
 */
void accounts_apply(struct accounts *o)
{
	struct entry *e;

	TAILQ_FOREACH (e, &o->all, in_all) {
		struct heir heir = { .from = e->owner, .to = REST_OWNER };

		if (e->info.state == OWNER_SHOWN && !is_wanted(o, e)) {
			set_state(o, e, OWNER_REST);
		} else if (e->info.state == OWNER_REST && is_wanted(o, e) && !e->info.dead_since_ns &&
			   o->nr_shown < policy_of(o)->max_containers) {
			move_counts(o, &heir, 1);
			set_state(o, e, OWNER_NEW);
			decide(o, e);
		}
	}
	accounts_update(o);
}

/* ---- life ---- */

static size_t add_orphans(const struct accounts *o, const struct bpfobj_table *t, struct heir *heirs)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->nr; i++) {
		const struct owner *owner = bpfobj_table_key(t, i);

		if (owner->id != OWNER_ID_NONE && owner->id != OWNER_ID_REST && !find(o, owner))
			heirs[nr++] = (struct heir){ .from = *owner, .to = REST_OWNER };
	}
	return nr;
}

/* Counts of owners that were retired while the room was off go to the rest. */
static void adopt(const struct accounts *o, const struct counters *t)
{
	_free_ struct heir *heirs = NULL;
	struct bpfobj_table live = {}, gone = {};
	size_t nr;

	if (!counter_maps_read_live(t, &live) && !bpfobj_table_read(t->gone, &gone)) {
		heirs = calloc(live.nr + gone.nr + 1, sizeof(*heirs));
		nr = heirs ? add_orphans(o, &live, heirs) : 0;
		nr += heirs ? add_orphans(o, &gone, heirs + nr) : 0;
		if (nr)
			counter_maps_retire(t, heirs, nr);
	}
	bpfobj_table_free(&live);
	bpfobj_table_free(&gone);
}

void accounts_add_counters(struct accounts *o, struct counters *t)
{
	adopt(o, t);
	LIST_INSERT_HEAD(&o->tallies, t, entry);
}

void accounts_remove_counters(struct counters *t)
{
	LIST_REMOVE(t, entry);
}

int accounts_open(struct env *env, struct looker *looker, struct bpf_map *map, const struct workloads *c, struct accounts **ret)
{
	struct accounts *o = calloc(1, sizeof(*o));

	if (!o)
		return log_error(-ENOMEM, "who: out of memory");
	o->env = env;
	o->looker = looker;
	o->map = map;
	o->census = c;
	TAILQ_INIT(&o->all);
	read_map(o); /* pinned ones of an earlier run */
	count_shown(o);
	*ret = o;
	return 0;
}

void accounts_close(struct accounts *o)
{
	struct entry *e;

	if (!o)
		return;
	while ((e = TAILQ_FIRST(&o->all)))
		drop(o, e);
	free(o);
}
