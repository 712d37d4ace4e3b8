// SPDX-License-Identifier: GPL-2.0
/*
 * Latency targets: policy's blkio.targets. On each disk that has any there is a contest between guards, containers
 * and VMs that a target is for, and others, which blkio.limits names for that disk and no target does. BPF counts the
 * guards' I/Os by latency in eighths of the target. Each window of time ends in a verdict: a guard exceeds its target,
 * and the others' io.max is lowered by a factor; or all guards have room, and after a few such windows it is raised
 * again by a part, until it is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include "agent/blkio/blkio.h"
#include "agent/blkio/controller.h"
#include "agent/blkio/limit.h"
#include "agent/blkio/rules.h"
#include "agent/blkio/steer.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/lib/util.h"
#include "build/bpf/blkio/blkio.skel.h"

struct blkio_targets {
	struct blkio *b;
	struct source timer;
	struct contest_list contests;
	struct contest_counts counts;
	unsigned int nr_watches;
	struct bpf_link *links[3]; /* while there are watches */
};

static const struct blkio_policy *policy_of(const struct blkio *b)
{
	return policy_section(b->env->policy, &policy_blkio);
}

/* ---- what BPF counts ---- */

/* One owner of a guard's I/Os: its cgroup or one below, or the VM. */
struct watch {
	struct blkio_watch_key key;
	__u64 seen[BLKIO_WATCH_SLOTS];
	bool there;
	LIST_ENTRY(watch) entry;
};

static void watching_stop(struct blkio_targets *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->links); i++) {
		bpf_link__destroy(t->links[i]);
		t->links[i] = NULL;
	}
}

/* Where nothing is watched, I/Os do not pay for it. */
static void watching_start(struct blkio *b)
{
	struct bpf_program *const programs[] = { b->bpf->progs.blkio_watch_begin, b->bpf->progs.blkio_watch_rq,
						 b->bpf->progs.blkio_watch_bio };
	struct blkio_targets *t = b->targets;

	_Static_assert(ARRAY_SIZE(programs) == ARRAY_SIZE(t->links), "a link for each");
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		t->links[i] = bpf_program__attach(programs[i]);
		if (!t->links[i])
			log_warning("blkio: cannot look at latencies for their targets: %m");
	}
}

static void watch_remove(struct blkio *b, struct watch *w)
{
	if (!bpf_map_delete_elem(bpf_map__fd(b->bpf->maps.blkio_watch), &w->key)) {
		b->targets->nr_watches--;
		if (!b->targets->nr_watches)
			watching_stop(b->targets);
	}
	LIST_REMOVE(w, entry);
	free(w);
}

/* Another guard may have that owner already, one that is nested with this one: it is the other's then. */
static void watch_add(struct blkio *b, struct guard *g, const struct owner *o, const struct disk *disk)
{
	const struct blkio_watch_key key = { .owner = *o, .dev = disk->major << 20 | disk->minor };
	const struct blkio_watch value = { .target_ns = g->target_ns };
	struct watch *w;

	LIST_FOREACH (w, &g->watches, entry)
		if (!memcmp(&w->key, &key, sizeof(key))) {
			w->there = true;
			return;
		}
	w = calloc(1, sizeof(*w));
	if (!w || bpf_map_update_elem(bpf_map__fd(b->bpf->maps.blkio_watch), &key, &value, BPF_NOEXIST)) {
		if (errno != EEXIST)
			log_warning("blkio: a part of %s%s is not looked at for its target: %m", g->one->vm, g->one->container);
		free(w);
		return;
	}
	w->key = key;
	w->there = true;
	LIST_INSERT_HEAD(&g->watches, w, entry);
	if (!b->targets->nr_watches++)
		watching_start(b);
}

static void watch_tree(struct blkio *b, struct guard *g, const char *dir, const struct disk *disk)
{
	struct owner o = { .hierarchy = b->env->kernel.task_hierarchy };
	char child[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *d;

	if (stat(dir, &st))
		return;
	o.id = st.st_ino;
	watch_add(b, g, &o, disk);
	d = opendir(dir);
	while (d && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    (size_t)snprintf(child, sizeof(child), "%s/%s", dir, entry->d_name) < sizeof(child))
			watch_tree(b, g, child, disk);
	if (d)
		closedir(d);
}

static void watch_vm(struct blkio *b, struct guard *g, const struct disk *disk)
{
	struct owner o = { .hierarchy = OWNER_VM };
	const __u32 pid = (__u32)g->one->pid;

	if (!bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.who_vms), &pid, &o.id))
		watch_add(b, g, &o, disk);
}

/* Cgroups below a container come and go. */
static void guard_watch(struct blkio *b, struct guard *g, const struct disk *disk)
{
	const struct hierarchy *h = kernel_task_hierarchy(&b->env->kernel);
	struct watch *w, *next;
	char dir[PATH_MAX];

	LIST_FOREACH (w, &g->watches, entry)
		w->there = false;
	if (disk->name[0] && g->one->pid)
		watch_vm(b, g, disk);
	else if (disk->name[0] && h && (size_t)snprintf(dir, sizeof(dir), "%s%s", h->mount, g->one->path) < sizeof(dir))
		watch_tree(b, g, dir, disk);
	for (w = LIST_FIRST(&g->watches); w; w = next) {
		next = LIST_NEXT(w, entry);
		if (!w->there)
			watch_remove(b, w);
	}
}

/* What came since the last time goes into the guard's window. */
static void guard_read(struct blkio *b, struct guard *g)
{
	struct blkio_watch now;
	struct watch *w;

	LIST_FOREACH (w, &g->watches, entry) {
		if (bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.blkio_watch), &w->key, &now))
			continue;
		for (unsigned int i = 0; i < BLKIO_WATCH_SLOTS; i++)
			g->window[i] += now.slots[i] - w->seen[i];
		memcpy(w->seen, now.slots, sizeof(w->seen));
	}
}

/* ---- who takes part ---- */

static void guard_free(struct blkio *b, struct guard *g)
{
	struct watch *w;

	while ((w = LIST_FIRST(&g->watches)))
		watch_remove(b, w);
	LIST_REMOVE(g, entry);
	free(g);
}

static void other_free(struct other *o)
{
	LIST_REMOVE(o, entry);
	free(o);
}

static void contest_free(struct blkio *b, struct controller *c)
{
	struct guard *g;
	struct other *o;

	while ((g = LIST_FIRST(&c->guards)))
		guard_free(b, g);
	while ((o = LIST_FIRST(&c->others)))
		other_free(o);
	LIST_REMOVE(c, entry);
	free(c);
}

static struct controller *contest_find(const struct blkio_targets *t, const char *device)
{
	struct controller *c;

	LIST_FOREACH (c, &t->contests, entry)
		if (!strcmp(c->device, device))
			return c;
	return NULL;
}

static struct controller *contest_get(struct blkio_targets *t, const char *device)
{
	struct controller *c = contest_find(t, device);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	snprintf(c->device, sizeof(c->device), "%s", device);
	LIST_INSERT_HEAD(&t->contests, c, entry);
	return c;
}

static struct guard *guard_find(const struct controller *c, const struct workload *one)
{
	struct guard *g;

	LIST_FOREACH (g, &c->guards, entry)
		if (g->one == one)
			return g;
	return NULL;
}

static struct other *other_find(const struct controller *c, const struct workload *one)
{
	struct other *o;

	LIST_FOREACH (o, &c->others, entry)
		if (o->one == one)
			return o;
	return NULL;
}

/* The first target that names @one and @device counts. */
static const struct blkio_target *target_of(const struct blkio_policy *p, const struct workload *one, const char *device)
{
	for (unsigned int i = 0; i < p->targets_count; i++) {
		const struct blkio_target *t = &p->targets[i];

		if (!strcmp(t->device, device) && who_matches(one, t->container, t->vm))
			return t;
	}
	return NULL;
}

static void join_as_guard(struct controller *c, const struct workload *one, const struct blkio_target *target)
{
	struct guard *g = guard_find(c, one) ?: calloc(1, sizeof(*g));

	if (!g)
		return;
	if (!g->one)
		LIST_INSERT_HEAD(&c->guards, g, entry);
	if (g->target_ns != target->p99) /* its counters are in eighths of the old one */
		g->stale = g->one != NULL;
	g->one = one;
	g->target_ns = target->p99;
	g->wanted = true;
}

/* One is above the other in the tree of cgroups, and a limit of it would be the other's too. */
static bool is_related(const char *a, const char *b)
{
	size_t len_a = strlen(a), len_b = strlen(b), len = len_a < len_b ? len_a : len_b;

	return !strncmp(a, b, len) && (len_a == len_b || (len_a < len_b ? b : a)[len] == '/');
}

static bool is_guards(const struct controller *c, const struct workload *one)
{
	const struct guard *g;

	LIST_FOREACH (g, &c->guards, entry)
		if (g->wanted && is_related(g->one->path, one->path))
			return true;
	return false;
}

static void join_as_other(struct blkio *b, struct controller *c, const struct workload *one)
{
	struct other *o = other_find(c, one);

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return;
		o->one = one;
		LIST_INSERT_HEAD(&c->others, o, entry);
		blkio_limit_in_force(b, one, c->device, &o->side[0].cap, &o->side[1].cap);
		controller_adopt(o);
	}
	o->wanted = true;
}

static void visit_guards(void *data, const struct workload *one)
{
	struct blkio_targets *t = data;
	struct controller *c;

	LIST_FOREACH (c, &t->contests, entry) {
		const struct blkio_target *target = target_of(policy_of(t->b), one, c->device);

		if (target)
			join_as_guard(c, one, target);
	}
}

static void visit_others(void *data, const struct workload *one)
{
	struct blkio_targets *t = data;
	struct controller *c;

	LIST_FOREACH (c, &t->contests, entry)
		if (!is_guards(c, one) && blkio_rules_first(policy_of(t->b), one, c->device))
			join_as_other(t->b, c, one);
}

static void begin(struct blkio_targets *t)
{
	const struct blkio_policy *p = policy_of(t->b);
	struct controller *c;
	struct guard *g;
	struct other *o;

	for (unsigned int i = 0; i < p->targets_count; i++)
		contest_get(t, p->targets[i].device);
	LIST_FOREACH (c, &t->contests, entry) {
		LIST_FOREACH (g, &c->guards, entry)
			g->wanted = false;
		LIST_FOREACH (o, &c->others, entry)
			o->wanted = false;
	}
}

static void prune(struct blkio *b, struct controller *c)
{
	struct guard *g, *next_guard;
	struct other *o, *next_other;
	struct watch *w;

	for (g = LIST_FIRST(&c->guards); g; g = next_guard) {
		next_guard = LIST_NEXT(g, entry);
		while (g->stale && (w = LIST_FIRST(&g->watches)))
			watch_remove(b, w);
		g->stale = false;
		if (!g->wanted)
			guard_free(b, g);
	}
	for (o = LIST_FIRST(&c->others); o; o = next_other) {
		next_other = LIST_NEXT(o, entry);
		if (!o->wanted)
			other_free(o);
	}
}

/* Policy, disks, containers or VMs have changed. */
static void sync_contests(struct blkio_targets *t)
{
	struct controller *c, *next;
	struct guard *g;

	begin(t);
	blkio_limit_for_each(t->b, visit_guards, t);
	blkio_limit_for_each(t->b, visit_others, t);
	for (c = LIST_FIRST(&t->contests); c; c = next) {
		next = LIST_NEXT(c, entry);
		prune(t->b, c);
		if (disk_find(c->device, &c->disk))
			c->disk = (struct disk){};
		if (!blkio_limit_enforces(t->b))
			controller_release(c);
		LIST_FOREACH (g, &c->guards, entry)
			guard_watch(t->b, g, &c->disk);
		if (LIST_EMPTY(&c->guards))
			contest_free(t->b, c);
	}
	loop_timer_rearm(t->timer.fd, CONTEST_TICK_NS, LIST_EMPTY(&t->contests) ? 0 : CONTEST_TICK_NS);
}

/* ---- time passes ---- */

/* Bytes that @o has read and written on the contest's disk since its cgroup was made. */
static bool read_bytes(struct blkio *b, const struct controller *c, const struct other *o, __u64 bytes[2])
{
	char full[PATH_MAX], path[OWNER_PATH_MAX], why[16], line[512];
	_fclose_ FILE *f = NULL;
	unsigned int major, minor;

	if (blkio_rules_path(b->limits->settings.mount, o->one, path, sizeof(path), why, sizeof(why)))
		return false;
	snprintf(full, sizeof(full), "%s%s/io.stat", kernel_task_hierarchy(&b->env->kernel)->mount, path);
	f = fopen(full, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%u:%u rbytes=%llu wbytes=%llu", &major, &minor, &bytes[0], &bytes[1]) == 4 &&
		    major == c->disk.major && minor == c->disk.minor)
			return true;
	bytes[0] = bytes[1] = 0;
	return f != NULL;
}

static void measure(struct blkio *b, struct controller *c)
{
	struct guard *g;
	struct other *o;
	__u64 bytes[2];

	LIST_FOREACH (g, &c->guards, entry)
		guard_read(b, g);
	LIST_FOREACH (o, &c->others, entry)
		if (read_bytes(b, c, o, bytes))
			controller_measured(o, bytes, now_ns());
}

static void on_tick(struct source *s)
{
	struct blkio_targets *t = s->data;
	struct controller *c;
	struct guard *g;
	struct other *o;

	loop_timer_drain(s->fd);
	LIST_FOREACH (c, &t->contests, entry) {
		if (!c->disk.name[0])
			continue;
		measure(t->b, c);
		if (!controller_tick(c, blkio_limit_enforces(t->b), &t->counts))
			continue;
		LIST_FOREACH (g, &c->guards, entry)
			guard_watch(t->b, g, &c->disk);
		LIST_FOREACH (o, &c->others, entry)
			if (o->changed)
				blkio_limit_update(t->b, o->one);
	}
}

void blkio_target_cap(struct blkio *b, const struct workload *one, const char *device, __u64 *ret_read, __u64 *ret_write)
{
	const struct controller *c = b->targets ? contest_find(b->targets, device) : NULL;
	const struct other *o = c ? other_find(c, one) : NULL;

	*ret_read = o ? o->side[0].cap : BLKIO_NO_CAP;
	*ret_write = o ? o->side[1].cap : BLKIO_NO_CAP;
}

/* ---- life ---- */

int blkio_target_start(struct blkio *b)
{
	struct blkio_targets *t = calloc(1, sizeof(*t));

	if (!t)
		return log_error(-ENOMEM, "blkio: out of memory");
	b->targets = t;
	t->b = b;
	t->timer = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_tick, .data = t };
	if (t->timer.fd < 0)
		return log_error(t->timer.fd, "blkio: no timer: %s", strerror(-t->timer.fd));
	return loop_add(&b->env->loop, &t->timer);
}

void blkio_target_apply(struct blkio *b)
{
	sync_contests(b->targets);
}

void blkio_target_born(struct blkio *b)
{
	if (policy_of(b)->targets_count)
		sync_contests(b->targets);
}

void blkio_target_gone(struct blkio *b, const struct workload *one)
{
	struct controller *c;
	struct guard *g;
	struct other *o;

	LIST_FOREACH (c, &b->targets->contests, entry) {
		if ((g = guard_find(c, one)))
			guard_free(b, g);
		if ((o = other_find(c, one)))
			other_free(o);
	}
}

void blkio_target_stop(struct blkio *b)
{
	struct controller *c;

	if (!b->targets)
		return;
	while ((c = LIST_FIRST(&b->targets->contests)))
		contest_free(b, c);
	if (b->targets->timer.fd >= 0)
		loop_remove(&b->env->loop, &b->targets->timer);
	watching_stop(b->targets);
	free(b->targets);
	b->targets = NULL;
}

/* ---- metrics ---- */

static void collect_guard(struct metrics *m, const struct controller *c, const struct guard *g)
{
	const char *labels = metrics_labels(m, "vm", g->one->vm, "container", g->one->container, "device", c->device, NULL);

	metrics_seconds(metrics_family(m, "nestor_blkio_target_seconds", METRIC_GAUGE,
				       "Latency that policy wants 99 of 100 I/Os to stay below."),
			labels, g->target_ns);
	metrics_seconds(
		metrics_family(m, "nestor_blkio_target_p99_seconds", METRIC_GAUGE,
			       "What the 99th percentile was when it was last looked at, at most eight times the target."),
		labels, g->p99_ns);
}

void blkio_target_collect(struct blkio *b, struct metrics *m)
{
	struct family *actions = metrics_family(m, BLKIO_ACTIONS, METRIC_COUNTER, BLKIO_ACTIONS_HELP);
	const struct contest_counts *n = &b->targets->counts;
	const struct controller *c;
	const struct guard *g;

	LIST_FOREACH (c, &b->targets->contests, entry) {
		LIST_FOREACH (g, &c->guards, entry)
			collect_guard(m, c, g);
		metrics_u64(metrics_family(m, "nestor_blkio_target_lowered", METRIC_GAUGE,
					   "Containers and VMs whose io.max is lowered for the latency of others."),
			    metrics_labels(m, "device", c->device, NULL), controller_lowered(c));
	}
	metrics_u64(actions, metrics_labels(m, "action", "lower", "result", "done", NULL), n->lowered);
	metrics_u64(actions, metrics_labels(m, "action", "lower", "result", "monitored", NULL), n->monitored);
	metrics_u64(actions, metrics_labels(m, "action", "raise", "result", "done", NULL), n->raised);
}
