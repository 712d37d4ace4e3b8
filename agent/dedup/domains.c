// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dedup/domains.h"
#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/dedup/policy.h"
#include "agent/lib/util.h"

#define PAGE 4096
#define STUCK_MAX 1024

static const char *const result_names[DEDUP_ROUND_RESULTS] = { "done", "refused", "failed", "pressed" };
static const char *const stage_names[DEDUP_STAGES] = { "look", "read", "hash", "group", "inject", "ksmd" };

/* ---- domains ---- */

struct dedup_domain *dedup_domains_find(const struct dedup_domains *all, const char *name)
{
	struct dedup_domain *d;

	TAILQ_FOREACH (d, all, entry)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

static void drop(struct dedup_domains *all, struct dedup_domain *d)
{
	TAILQ_REMOVE(all, d, entry);
	json_decref(d->owners);
	json_decref(d->of);
	json_decref(d->last);
	json_decref(d->stuck);
	free(d->failure);
	free(d->name);
	free(d);
}

static struct dedup_domain *make(const char *name)
{
	struct dedup_domain *d = calloc(1, sizeof(*d));

	if (d) {
		d->name = strdup(name);
		d->stuck = json_object();
	}
	if (d && (!d->name || !d->stuck)) {
		json_decref(d->stuck);
		free(d->name);
		free(d);
		d = NULL;
	}
	return d;
}

void dedup_domains_free(struct dedup_domains *all)
{
	while (!TAILQ_EMPTY(all))
		drop(all, TAILQ_FIRST(all));
}

int dedup_domains_keep(struct dedup_domains *all, const struct dedup_policy *p)
{
	struct dedup_domains kept = TAILQ_HEAD_INITIALIZER(kept);
	int err = 0;

	for (unsigned int i = 0; i < p->targets_count && !err; i++) {
		const char *name = p->targets[i].domain;
		struct dedup_domain *d = dedup_domains_find(all, name);

		if (dedup_domains_find(&kept, name))
			continue;
		if (d)
			TAILQ_REMOVE(all, d, entry);
		else
			d = make(name);
		if (d)
			TAILQ_INSERT_TAIL(&kept, d, entry);
		else
			err = -ENOMEM;
	}
	dedup_domains_free(all);
	TAILQ_CONCAT(all, &kept, entry);
	return err;
}

/* ---- what a round has told ---- */

static double number_in(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void add_seconds(struct dedup_domain *d, const json_t *result)
{
	const json_t *seconds = json_object_get(result, "seconds"), *merge = json_object_get(result, "merge");

	for (int s = DEDUP_LOOK; s <= DEDUP_GROUP; s++)
		d->seconds[s] += number_in(seconds, stage_names[s]);
	d->seconds[DEDUP_INJECT] += number_in(merge, "inject_seconds");
	d->seconds[DEDUP_KSMD] += number_in(merge, "ksmd_seconds");
	d->device += number_in(result, "device_seconds");
	d->stopped += number_in(merge, "stopped_seconds");
	if (number_in(merge, "longest_stop_seconds") > d->longest_stop)
		d->longest_stop = number_in(merge, "longest_stop_seconds");
	d->hinted += (unsigned long long)number_in(merge, "hinted_pages");
}

void dedup_fail(struct dedup_domain *d, const char *why)
{
	d->rounds[DEDUP_ROUND_FAILED]++;
	free(d->failure);
	d->failure = strdup(why);
}

/* Those that have gone since are forgotten when there are many. */
static void add_stuck(struct dedup_domain *d, const json_t *stuck)
{
	if (json_object_size(d->stuck) >= STUCK_MAX)
		json_object_clear(d->stuck);
	json_object_update(d->stuck, (json_t *)stuck);
}

void dedup_take(struct dedup_domain *d, const char *text, size_t len)
{
	json_t *result = json_loadb(text, len, 0, NULL);
	const char *error = json_string_value(json_object_get(result, "error"));

	if (!result || error) {
		dedup_fail(d, error ?: "it ended early");
		log_warning("dedup: the round of %s failed: %s", d->name, error ?: "it ended early");
		add_stuck(d, json_object_get(result, "stuck"));
		json_decref(result);
		return;
	}
	d->rounds[json_object_get(result, "refused") ? DEDUP_ROUND_REFUSED : DEDUP_ROUND_DONE]++;
	add_seconds(d, result);
	json_decref(d->last);
	d->last = result;
	json_decref(d->of);
	d->of = json_incref(d->owners);
	free(d->failure);
	d->failure = NULL;
}

/* ---- showing ---- */

struct families {
	struct family *present, *potential, *shared, *saved, *zero, *huge, *rounds, *seconds, *device, *hinted, *merged,
		*stopped, *longest, *missed, *left_out;
};

static void open_families(struct metrics *m, struct families *f)
{
	*f = (struct families){
		.present = metrics_family(m, "nestor_dedup_present_bytes", METRIC_GAUGE,
					  "Private memory that was there in the last round."),
		.potential = metrics_family(
			m, "nestor_dedup_potential_bytes", METRIC_GAUGE,
			"What merging would free of it, by equal parts of those that have a content; zeroes aside."),
		.shared = metrics_family(m, "nestor_dedup_shared_bytes", METRIC_GAUGE,
					 "Frames whose content others of the domain have, too; zeroes aside."),
		.saved = metrics_family(
			m, "nestor_dedup_saved_bytes", METRIC_GAUGE,
			"Further mappings of frames that merging, or a fork, has saved; the first of each does not count."),
		.zero = metrics_family(m, "nestor_dedup_zero_bytes", METRIC_GAUGE, "Pages of zeroes."),
		.huge = metrics_family(m, "nestor_dedup_huge_bytes", METRIC_GAUGE,
				       "Pages worth merging that are parts of huge pages. Linux 6.7 or later."),
		.rounds = metrics_family(m, "nestor_dedup_rounds_total", METRIC_COUNTER,
					 "Rounds: done, refused (nothing merged), failed, or put off under CPU pressure."),
		.seconds = metrics_family(m, "nestor_dedup_stage_seconds_total", METRIC_COUNTER,
					  "Time that each stage of rounds took; ksmd is CPU time of the kernel's."),
		.device = metrics_family(m, "nestor_dedup_device_seconds_total", METRIC_COUNTER,
					 "Time that a GPU took to hash and to sort."),
		.hinted = metrics_family(m, "nestor_dedup_hinted_pages_total", METRIC_COUNTER, "Pages that KSM was told of."),
		.merged = metrics_family(m, "nestor_dedup_merged_bytes", METRIC_GAUGE,
					 "Memory that was merged after the last round. Linux 6.1 or later."),
		.stopped = metrics_family(m, "nestor_dedup_stopped_seconds_total", METRIC_COUNTER,
					  "Time for which threads of owners were kept from their work."),
		.longest = metrics_family(m, "nestor_dedup_longest_stop_seconds", METRIC_GAUGE,
					  "The longest of these stops so far."),
		.missed = metrics_family(m, "nestor_dedup_missed_processes", METRIC_GAUGE,
					 "Processes of which KSM could not be told in the last round, by reason."),
		.left_out = metrics_family(m, "nestor_dedup_left_out", METRIC_GAUGE,
					   "What was not read in the last round, by reason: processes, mappings or pages."),
	};
}

static void collect_owner(const struct dedup_domain *d, size_t i, struct metrics *m, struct families *f)
{
	const json_t *figures = json_array_get(json_object_get(d->last, "owners"), i), *one = json_array_get(d->of, i);
	const char *labels = metrics_labels(m, "domain", d->name, "vm", json_string_value(json_object_get(one, "vm")),
					    "container", json_string_value(json_object_get(one, "container")), NULL);

	metrics_double(f->present, labels, number_in(figures, "present_bytes"));
	metrics_double(f->potential, labels, number_in(figures, "potential_bytes"));
	metrics_double(f->shared, labels, number_in(figures, "common_bytes"));
	metrics_double(f->saved, labels, number_in(figures, "merged_bytes"));
	metrics_double(f->zero, labels, number_in(figures, "zero_bytes"));
	metrics_double(f->huge, labels, number_in(figures, "huge_bytes"));
}

static void collect_reasons(const struct dedup_domain *d, const json_t *reasons, struct metrics *m, struct family *f)
{
	const char *reason;
	json_t *n;

	json_object_foreach ((json_t *)reasons, reason, n)
		metrics_double(f, metrics_labels(m, "domain", d->name, "reason", reason, NULL), json_number_value(n));
}

static void collect_domain(const struct dedup_domain *d, struct metrics *m, struct families *f)
{
	const json_t *merge = json_object_get(d->last, "merge");
	const char *labels;

	for (size_t i = 0; i < json_array_size(json_object_get(d->last, "owners")); i++)
		collect_owner(d, i, m, f);
	for (int r = 0; r < DEDUP_ROUND_RESULTS; r++)
		metrics_u64(f->rounds, metrics_labels(m, "domain", d->name, "result", result_names[r], NULL), d->rounds[r]);
	for (int s = 0; s < DEDUP_STAGES; s++)
		metrics_double(f->seconds, metrics_labels(m, "domain", d->name, "stage", stage_names[s], NULL), d->seconds[s]);
	collect_reasons(d, json_object_get(merge, "missed_processes"), m, f->missed);
	collect_reasons(d, json_object_get(d->last, "left_out"), m, f->left_out);
	labels = metrics_labels(m, "domain", d->name, NULL);
	metrics_double(f->device, labels, d->device);
	metrics_u64(f->hinted, labels, d->hinted);
	metrics_double(f->merged, labels, number_in(merge, "merged_pages") * PAGE);
	metrics_double(f->stopped, labels, d->stopped);
	metrics_double(f->longest, labels, d->longest_stop);
}

/* The kernel counts them for the whole machine; without KSM, or before Linux 5.19, not at all. */
static void collect_cow_breaks(struct metrics *m)
{
	static const char *const name = "\ncow_ksm ";
	char text[16384];
	const char *found = util_read_file_at(AT_FDCWD, "/proc/vmstat", text, sizeof(text)) > 0 ? strstr(text, name) : NULL;

	if (found)
		metrics_u64(metrics_family(m, "nestor_dedup_cow_breaks_total", METRIC_COUNTER,
					   "Merged pages that were written to, and copied for that, in the whole machine."),
			    "", strtoull(found + strlen(name), NULL, 10));
}

void dedup_domains_collect(const struct dedup_domains *all, struct metrics *m)
{
	const struct dedup_domain *d;
	struct families f;

	open_families(m, &f);
	TAILQ_FOREACH (d, all, entry)
		collect_domain(d, m, &f);
	collect_cow_breaks(m);
}

void dedup_domains_sample(const struct dedup_domains *all, struct history *h)
{
	const struct dedup_domain *d;
	const json_t *one;
	size_t i;

	TAILQ_FOREACH (d, all, entry)
		json_array_foreach (d->of, i, one) {
			const json_t *figures = json_array_get(json_object_get(d->last, "owners"), i);
			const char *vm = json_string_value(json_object_get(one, "vm")),
				   *container = json_string_value(json_object_get(one, "container"));

			history_gauge(h, vm, container, "dedup_potential", number_in(figures, "potential_bytes"));
			history_gauge(h, vm, container, "dedup_saved", number_in(figures, "merged_bytes"));
		}
}

json_t *dedup_domains_show(const struct dedup_domains *all)
{
	const struct dedup_domain *d;
	json_t *list = json_array();

	TAILQ_FOREACH (d, all, entry) {
		json_t *one = json_object(), *rounds = json_object();

		for (int r = 0; r < DEDUP_ROUND_RESULTS; r++)
			json_object_set_new(rounds, result_names[r], json_integer((json_int_t)d->rounds[r]));
		json_object_set_new(one, "domain", json_text(d->name));
		json_object_set_new(one, "rounds", rounds);
		if (d->failure)
			json_object_set_new(one, "failure", json_text(d->failure));
		json_object_set_new(one, "stuck", json_deep_copy(d->stuck));
		if (d->last)
			json_object_update(one, d->last);
		json_array_append_new(list, one);
	}
	return list;
}
