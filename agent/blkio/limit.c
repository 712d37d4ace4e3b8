// SPDX-License-Identifier: GPL-2.0
/*
 * Limits of block I/O: policy's blkio.limits as io.max and weights of cgroups. Of the rules that name a container or
 * VM and a disk the first one counts. settings.c remembers the former values and puts them back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/blkio/blkio.h"
#include "agent/blkio/limit.h"
#include "agent/blkio/rules.h"
#include "agent/blkio/steer.h"
#include "agent/steer/cgroup_file.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define SWEEP_NS (100ULL * 1000000)

static const struct blkio_policy *policy_of(const struct blkio_limits *l)
{
	return policy_section(l->b->env->policy, &policy_blkio);
}

/* ---- io.max ---- */

static const char *const max_keys[] = { "rbps", "wbps", "riops", "wiops" };

void blkio_limit_parse_max(const char *text, __u64 max[MAX_KINDS])
{
	char key[16];

	for (unsigned int i = 0; i < MAX_KINDS; i++) {
		const char *value;

		snprintf(key, sizeof(key), "%s=", max_keys[i]);
		value = strstr(text, key);
		max[i] = value && value[strlen(key)] != 'm' ? strtoull(value + strlen(key), NULL, 10) : NO_MAX;
	}
}

static void format_max(const __u64 max[MAX_KINDS], char text[SETTING_VALUE_MAX])
{
	size_t len = 0;

	for (unsigned int i = 0; i < MAX_KINDS; i++) {
		const char *space = i ? " " : "";

		if (max[i] == NO_MAX)
			len += (size_t)snprintf(text + len, SETTING_VALUE_MAX - len, "%s%s=max", space, max_keys[i]);
		else
			len += (size_t)snprintf(text + len, SETTING_VALUE_MAX - len, "%s%s=%llu", space, max_keys[i], max[i]);
	}
}

static void take(__u64 *max, __u64 value)
{
	if (value)
		*max = value;
}

static void lower_to(__u64 *max, __u64 cap)
{
	if (cap < *max)
		*max = cap;
}

/* Policy's value, where it has none the former one. */
static void policy_max(const struct blkio_limit *rule, const char *former, __u64 max[MAX_KINDS])
{
	blkio_limit_parse_max(former, max);
	take(&max[READ_BYTES], rule->read);
	take(&max[WRITE_BYTES], rule->write);
	take(&max[READ_IOS], rule->read_iops);
	take(&max[WRITE_IOS], rule->write_iops);
}

/* ---- what a rule makes ---- */

static void refuse(struct limited *lim, const char *device, const char *why)
{
	const char *name = lim->one->vm[0] ? lim->one->vm : lim->one->container;
	char *sentence;

	if (lim->refused++ || asprintf(&sentence, "%s is not limited on %s: %s", name, device, why) < 0)
		return;
	if (!lim->said || strcmp(sentence, lim->said))
		log_warning("blkio: %s", sentence);
	free(lim->said);
	lim->said = sentence;
}

/* The io controller for the children of @path's ancestors, from the root down. */
static int enable_io(struct blkio_limits *l, const char *path, char *ret_why, size_t why_size)
{
	char parent[OWNER_PATH_MAX];
	struct cgroup_value_id id = { .file = SETTING_CONTROLLER, .path = parent };

	for (const char *end = path; end; end = strchr(end + 1, '/')) {
		int err;

		snprintf(parent, sizeof(parent), "%.*s", end == path ? 1 : (int)(end - path), path);
		err = cgroup_values_want(&l->settings, &id, "+io", NULL);
		if (!err)
			continue;
		snprintf(ret_why, why_size, "the io controller cannot be enabled for the children of %s: %s", parent,
			 err == -EBUSY ? "it has processes of its own" : strerror(-err));
		return err;
	}
	return 0;
}

static int want_max(struct blkio_limits *l, const struct workload *one, const struct blkio_limit *rule, const char *path,
		    const struct disk *disk)
{
	const struct cgroup_value_id id = { .file = SETTING_MAX, .path = path, .disk = disk };
	char former[SETTING_VALUE_MAX], value[SETTING_VALUE_MAX];
	__u64 max[MAX_KINDS], read, write;
	int err = cgroup_values_former(&l->settings, &id, former);

	if (err)
		return err;
	policy_max(rule, former, max);
	l->ops->cap(l->b, one, rule->device, &read, &write);
	lower_to(&max[READ_BYTES], read);
	lower_to(&max[WRITE_BYTES], write);
	format_max(max, value);
	if (strcmp(value, former))
		return cgroup_values_want(&l->settings, &id, value, one);
	cgroup_values_drop(&l->settings, &id);
	return 0;
}

/* BFQ has weights of its own; for all other schedulers the kernel's cost model must be on. */
static int want_weight(struct blkio_limits *l, const struct workload *one, __u32 weight, const char *path,
		       const struct disk *disk)
{
	bool bfq = disk_has_scheduler(disk, "bfq");
	const struct cgroup_value_id cost = { .file = SETTING_COST, .path = "/", .disk = disk };
	const struct cgroup_value_id id = { .file = bfq ? SETTING_BFQ_WEIGHT : SETTING_WEIGHT, .path = path, .disk = disk };
	char value[SETTING_VALUE_MAX];
	int err = bfq ? 0 : cgroup_values_want(&l->settings, &cost, "enable=1", NULL);

	snprintf(value, sizeof(value), "%u", weight);
	return err ? err : cgroup_values_want(&l->settings, &id, value, one);
}

static bool wants_anything(const struct blkio_policy *p, const struct blkio_limit *rule)
{
	return rule->read || rule->write || rule->read_iops || rule->write_iops || rule->weight ||
	       blkio_rules_has_target(p, rule->device);
}

static int want_rule(struct blkio_limits *l, const struct workload *one, const struct blkio_limit *rule, char *why, size_t size)
{
	char path[OWNER_PATH_MAX];
	struct disk disk;
	int err;

	if (disk_find(rule->device, &disk))
		return 0; /* disk_watch tells when it is there */
	err = blkio_rules_path(l->settings.mount, one, path, sizeof(path), why, size);
	if (!err)
		err = enable_io(l, path, why, size);
	if (err)
		return err;
	err = want_max(l, one, rule, path, &disk);
	if (err)
		snprintf(why, size, "io.max: %s", strerror(-err));
	else if (rule->weight && (err = want_weight(l, one, rule->weight, path, &disk)))
		snprintf(why, size, "weight: %s", strerror(-err));
	return err;
}

static void want_one(struct blkio_limits *l, struct limited *lim)
{
	const struct blkio_policy *p = policy_of(l);
	char why[WHY_MAX];

	lim->refused = 0;
	for (unsigned int i = 0; i < p->limits_count; i++) {
		const struct blkio_limit *rule = &p->limits[i];

		if (rule != blkio_rules_first(p, lim->one, rule->device) || !wants_anything(p, rule))
			continue;
		if (l->why_not[0])
			lim->refused++;
		else if (want_rule(l, lim->one, rule, why, sizeof(why)))
			refuse(lim, rule->device, why);
	}
}

static void want_all(struct blkio_limits *l)
{
	struct limited *lim;

	cgroup_values_begin(&l->settings);
	LIST_FOREACH (lim, &l->ones, entry)
		want_one(l, lim);
	cgroup_values_end(&l->settings);
}

/* ---- who and what comes and goes ---- */

static struct limited *find(const struct blkio_limits *l, const struct workload *one)
{
	struct limited *lim;

	LIST_FOREACH (lim, &l->ones, entry)
		if (lim->one == one)
			return lim;
	return NULL;
}

static void limited_free(struct limited *lim)
{
	LIST_REMOVE(lim, entry);
	free(lim->said);
	free(lim);
}

bool blkio_limit_born(struct blkio *b, const struct workload *one)
{
	struct blkio_limits *l = b->limits;
	struct limited *lim = find(l, one);
	bool known = lim;

	if (!known)
		lim = calloc(1, sizeof(*lim));
	if (!lim) {
		log_error(-ENOMEM, "blkio: out of memory; %s%s is not limited", one->vm, one->container);
		return false;
	}
	if (!known) {
		lim->one = one;
		LIST_INSERT_HEAD(&l->ones, lim, entry);
	} else if (l->applied) {
		loop_timer_rearm(l->sweep.fd, SWEEP_NS, 0);
	}
	return l->applied;
}

/*
 * Its cgroup may live on without it, or be that of a container which will be told of in a moment by another name: what
 * is set there is put back if nobody wants it in the end.
 */
void blkio_limit_gone(struct blkio *b, const struct workload *one)
{
	struct blkio_limits *l = b->limits;
	struct limited *lim = find(l, one);

	if (cgroup_values_untag(&l->settings, one))
		loop_timer_rearm(l->sweep.fd, SWEEP_NS, 0);
	if (lim)
		limited_free(lim);
}

static void on_sweep(struct source *s)
{
	loop_timer_drain(s->fd);
	want_all(s->data);
}

static void on_disk(void *data)
{
	struct blkio_limits *l = data;

	l->ops->disks_changed(l->b);
	want_all(l);
}

void blkio_limit_update(struct blkio *b, const struct workload *one)
{
	struct limited *lim = find(b->limits, one);

	if (lim)
		want_one(b->limits, lim);
}

void blkio_limit_for_each(struct blkio *b, void (*visit)(void *data, const struct workload *one), void *data)
{
	struct limited *lim;

	LIST_FOREACH (lim, &b->limits->ones, entry)
		visit(data, lim->one);
}

void blkio_limit_in_force(struct blkio *b, const struct workload *one, const char *device, __u64 *ret_read, __u64 *ret_write)
{
	const struct blkio_limit *rule = blkio_rules_first(policy_of(b->limits), one, device);
	char path[OWNER_PATH_MAX], why[WHY_MAX];
	__u64 max[MAX_KINDS], now[MAX_KINDS];
	const struct cgroup_value *s;
	struct disk disk;

	*ret_read = *ret_write = BLKIO_NO_CAP;
	if (!rule || disk_find(device, &disk) ||
	    blkio_rules_path(b->limits->settings.mount, one, path, sizeof(path), why, sizeof(why)))
		return;
	s = cgroup_journal_find(&b->limits->settings,
				&(struct cgroup_value_id){ .file = SETTING_MAX, .path = path, .disk = &disk }, false);
	if (!s)
		return;
	policy_max(rule, s->former, max);
	blkio_limit_parse_max(s->now, now);
	if (now[READ_BYTES] < max[READ_BYTES])
		*ret_read = now[READ_BYTES];
	if (now[WRITE_BYTES] < max[WRITE_BYTES])
		*ret_write = now[WRITE_BYTES];
}

/* ---- life ---- */

static bool has_io(const struct hierarchy *h)
{
	_fclose_ FILE *f = cgroup_file_open(h->mount, "", "cgroup.controllers");
	char word[64];

	while (f && fscanf(f, "%63s", word) == 1)
		if (!strcmp(word, "io"))
			return true;
	return false;
}

/* Why limits cannot be set on this machine; "" if they can. */
static void check_machine(const struct env *env, const struct hierarchy *v2, char *why, size_t size)
{
	why[0] = '\0';
	if (!env->pin_dir)
		snprintf(why, size, "this is only a check");
	else if (!v2 || !has_io(v2))
		snprintf(why, size, "the io controller is not on cgroup v2 here; cgroups are %s",
			 kernel_cgroup_mode(&env->kernel));
	else if (!kernel_can_limit(&env->kernel))
		snprintf(why, size, "that needs Linux 6.12 or newer, and this is %s", env->kernel.uts.release);
}

int blkio_limit_start(struct blkio *b, const struct blkio_limit_ops *ops)
{
	const struct hierarchy *v2 = kernel_hierarchy(&b->env->kernel, 0);
	struct blkio_limits *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return log_error(-ENOMEM, "blkio: out of memory");
	b->limits = l;
	l->b = b;
	l->ops = ops;
	l->disks = (struct disk_watch){ .source.fd = -1, .changed = on_disk, .data = l };
	l->sweep = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_sweep, .data = l };
	TAILQ_INIT(&l->settings.list);
	check_machine(b->env, v2, l->why_not, sizeof(l->why_not));
	err = l->sweep.fd < 0 ? log_error(l->sweep.fd, "blkio: no timer: %s", strerror(-l->sweep.fd))
			      : loop_add(&b->env->loop, &l->sweep);
	if (!err && !l->why_not[0])
		err = cgroup_values_open(&l->settings, v2->mount, b->env->run_dir_fd)
			      ?: disk_watch_start(&l->disks, &b->env->loop);
	return err;
}

static void log_missing(const struct blkio_policy *p)
{
	struct disk disk;

	for (unsigned int i = 0; i < p->limits_count; i++) {
		const char *device = p->limits[i].device;

		if (!disk_find(device, &disk))
			continue;
		if (disk_is_partition(device))
			log_warning("blkio: %s is a partition; limits are for whole disks", device);
		else
			log_info("blkio: there is no disk %s yet", device);
	}
}

int blkio_limit_apply(struct blkio *b)
{
	struct blkio_limits *l = b->limits;
	const struct blkio_policy *p = policy_of(l);

	if (!b->env->pin_dir)
		return 0;
	if (p->mode == MODE_ENFORCE && l->why_not[0])
		log_warning("blkio: enforces nothing: %s", l->why_not);
	l->settings.dry = p->mode != MODE_ENFORCE;
	l->applied = true;
	log_missing(p);
	want_all(l);
	return 0;
}

void blkio_limit_stop(struct blkio *b)
{
	struct blkio_limits *l = b->limits;
	struct limited *lim;

	if (!l)
		return;
	disk_watch_stop(&l->disks, &b->env->loop);
	if (l->sweep.fd >= 0)
		loop_remove(&b->env->loop, &l->sweep);
	while ((lim = LIST_FIRST(&l->ones)))
		limited_free(lim);
	cgroup_values_close(&l->settings);
	free(l);
	b->limits = NULL;
}

void blkio_limit_off(struct env *env)
{
	unsigned int restored;

	if (env->pin_dir && !cgroup_values_undo(env->run_dir_fd, &restored) && restored)
		log_info("blkio: off, %u values are what they were before", restored);
}

bool blkio_limit_enforces(const struct blkio *b)
{
	return !b->limits->why_not[0] && !b->limits->settings.dry;
}
