// SPDX-License-Identifier: GPL-2.0
/* blkio: block I/O per device and container, from bpf/blkio/blkio.bpf.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/blkio/blkio.h"
#include "agent/blkio/policy.h"
#include "agent/blkio/steer.h"
#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/room.h"
#include "agent/base/metrics.h"
#include "agent/lib/util.h"
#include "build/bpf/blkio/blkio.skel.h"

/* ---- exposition ---- */

static const char *const op_names[] = {
	[BLKIO_READ] = "read",	 [BLKIO_WRITE] = "write", [BLKIO_DISCARD] = "discard", [BLKIO_WRITE_ZEROES] = "write_zeroes",
	[BLKIO_FLUSH] = "flush", [BLKIO_OTHER] = "other",
};

static const char *const source_names[] = {
	[BLKIO_SOURCE_BLKCG] = "blkcg",
	[BLKIO_SOURCE_FOLIO] = "folio",
	[BLKIO_SOURCE_TASK] = "task",
	[BLKIO_SOURCE_NONE] = "none",
};

/* A consistent copy of all maps. A row's extra is the name of its device. */
struct snapshot {
	struct counters_rows rows;
	struct bpfobj_table disks;
};

static void snapshot_free(struct snapshot *s)
{
	counters_free(&s->rows);
	bpfobj_table_free(&s->disks);
}

static const char *device_name(const struct snapshot *s, __u32 dev)
{
	for (size_t i = 0; i < s->disks.nr; i++)
		if (*(const __u32 *)bpfobj_table_key(&s->disks, i) == dev)
			return ((const struct blkio_disk *)bpfobj_table_value(&s->disks, i))->name;
	return "~unknown";
}

static const struct blkio_key *key_of(const struct counters_row *r)
{
	return r->key;
}

static const struct blkio_total *total_of(const struct counters_row *r)
{
	return (const struct blkio_total *)r->value;
}

static int snapshot_take(struct blkio *b, struct snapshot *s)
{
	int err;

	*s = (struct snapshot){};
	err = counters_read(b->env->who, &b->total, &s->rows);
	if (!err)
		err = bpfobj_table_read(b->bpf->maps.blkio_disks, &s->disks);
	if (err) {
		snapshot_free(s);
		return err;
	}
	for (size_t i = 0; i < s->rows.nr; i++)
		s->rows.rows[i].extra = device_name(s, key_of(&s->rows.rows[i])->dev);
	return 0;
}

static __u32 op_of(const struct counters_row *r)
{
	return key_of(r)->op < BLKIO_OPS ? key_of(r)->op : BLKIO_OTHER;
}

static int by_op(const struct counters_row *a, const struct counters_row *b)
{
	return (int)op_of(a) - (int)op_of(b);
}

static int by_device_op(const void *pa, const void *pb)
{
	const struct counters_row *a = pa, *b = pb;

	return strcmp(a->extra, b->extra) ?: by_op(a, b);
}

static int by_label_op(const void *pa, const void *pb)
{
	return counters_by_label(pa, pb) ?: by_op(pa, pb);
}

static int by_all(const void *pa, const void *pb)
{
	return by_device_op(pa, pb) ?: counters_by_label(pa, pb);
}

static unsigned long long count_of(const struct blkio_total *t)
{
	unsigned long long n = 0;

	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		n += t->latency.slots[i];
	return n;
}

struct emit {
	struct metrics *m;
	struct family *latency, *bytes, *ios, *errors;
};

static void emit_device(void *data, const struct counters_row *sum)
{
	const char *device = sum->extra, *op = op_names[op_of(sum)];
	const struct blkio_total *total = total_of(sum);
	bool bios = key_of(sum)->bios;
	struct emit *e = data;

	metrics_hist(e->latency, metrics_labels(e->m, "device", device, "op", op, "stage", "total", NULL), &total->latency,
		     total->latency_ns);
	/* A device that takes bios has no queue of its own: all of the time is the device's. */
	metrics_hist(e->latency, metrics_labels(e->m, "device", device, "op", op, "stage", "device", NULL),
		     bios ? &total->latency : &total->device, bios ? total->latency_ns : total->device_ns);
	if (!bios)
		metrics_hist(e->latency, metrics_labels(e->m, "device", device, "op", op, "stage", "queue", NULL),
			     &total->queue, total->queue_ns);
}

/* What a container waits for is the device that it addressed: the layers below are in that time already. */
static bool is_somebodys(const struct counters_row *r)
{
	return !key_of(r)->lower && op_of(r) <= BLKIO_WRITE && (r->container[0] || r->vm[0]);
}

static void emit_owner(void *data, const struct counters_row *sum)
{
	struct emit *e = data;

	metrics_hist(e->latency,
		     metrics_labels(e->m, "vm", sum->vm, "container", sum->container, "op", op_names[op_of(sum)], NULL),
		     &total_of(sum)->latency, total_of(sum)->latency_ns);
}

static void emit_counts(void *data, const struct counters_row *sum)
{
	const struct blkio_total *total = total_of(sum);
	struct emit *e = data;
	const char *labels = metrics_labels(e->m, "device", sum->extra, "op", op_names[op_of(sum)], "vm", sum->vm, "container",
					    sum->container, NULL);

	metrics_u64(e->bytes, labels, total->bytes);
	metrics_u64(e->ios, labels, count_of(total));
	metrics_u64(e->errors, labels, total->errors);
}

static void collect_sources(const struct counters_rows *rows, struct metrics *m)
{
	struct family *f = metrics_family(
		m, "nestor_blkio_owner_total", METRIC_COUNTER,
		"I/Os by how their owner was found: blkcg, first folio, task, or none (a flush, or nothing told).");
	unsigned long long counts[BLKIO_SOURCES] = {};

	for (size_t i = 0; i < rows->nr; i++)
		if (key_of(&rows->rows[i])->source < BLKIO_SOURCES)
			counts[key_of(&rows->rows[i])->source] += count_of(total_of(&rows->rows[i]));
	for (unsigned int i = 0; i < BLKIO_SOURCES; i++)
		metrics_u64(f, metrics_labels(m, "source", source_names[i], NULL), counts[i]);
}

/* Pages of blkio_inflight that were ever used say where to look. */
static unsigned long long count_inflight(const struct blkio *b)
{
	__u64 pages[BLKIO_INFLIGHT_PAGES / 64] = {};
	unsigned long long nr = 0;
	__u32 first = 0;

	bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.blkio_inflight_pages), &first, pages);
	for (size_t page = 0; page < BLKIO_INFLIGHT_PAGES; page++) {
		const struct blkio_inflight *ios;
		struct slot_window m;

		if (!(pages[page / 64] >> page % 64 & 1))
			continue;
		ios = slot_map_window(b->bpf->maps.blkio_inflight, page * BLKIO_INFLIGHT_PAGE * sizeof(*ios),
				      BLKIO_INFLIGHT_PAGE * sizeof(*ios), &m);
		for (size_t i = 0; ios && i < BLKIO_INFLIGHT_PAGE; i++)
			nr += *(volatile const __u64 *)&ios[i].id != 0;
		if (ios)
			slot_map_close_window(&m);
	}
	return nr;
}

static void collect_table(struct metrics *m, const struct bpf_map *map, unsigned long long nr)
{
	const char *labels = metrics_labels(m, "room", "blkio", "map", bpf_map__name(map), NULL);

	metrics_u64(metrics_family(m, "nestor_bpf_map_entries", METRIC_GAUGE, ""), labels, nr);
	metrics_u64(metrics_family(m, "nestor_bpf_map_capacity", METRIC_GAUGE, ""), labels, bpf_map__max_entries(map));
}

/*
 * I/Os of devices without requests whose beginning or end a program missed. Of requests, an issue that was missed
 * is made good at completion, and a completion is found missing when the request is used again (LOST_COMPLETION).
 */
static unsigned long long nested(const struct blkio *b)
{
	return bpfobj_misses(b->bpf->progs.blkio_bio_queue) + bpfobj_misses(b->bpf->progs.blkio_bio_done);
}

static void blkio_collect(void *self, struct metrics *m)
{
	struct blkio *b = self;
	struct snapshot s;
	struct emit e = { .m = m };

	blkio_limit_collect(b, m);
	blkio_target_collect(b, m);
	bpfobj_collect(b->bpf->obj, "blkio", b->bpf->maps.blkio_lost, nested(b), m);
	collect_table(m, b->bpf->maps.blkio_inflight, count_inflight(b));
	collect_table(m, b->bpf->maps.blkio_total,
		      slot_map_nr_set(&(struct slot_map){ b->bpf->maps.blkio_total, b->bpf->maps.blkio_bitmap }));
	if (snapshot_take(b, &s))
		return;
	collect_sources(&s.rows, m);
	e.latency = metrics_family(m, "nestor_blkio_latency_seconds", METRIC_HISTOGRAM,
				   "Time of I/Os, per device (in its queue, in the device, in all) and per container.");
	e.bytes = metrics_family(m, "nestor_blkio_bytes_total", METRIC_COUNTER, "Bytes moved by I/Os that succeeded.");
	e.ios = metrics_family(m, "nestor_blkio_ios_total", METRIC_COUNTER, "I/Os completed, also with an error.");
	e.errors = metrics_family(m, "nestor_blkio_errors_total", METRIC_COUNTER, "I/Os that failed.");
	counters_for_each_sum(&s.rows, by_device_op, NULL, emit_device, &e);
	counters_for_each_sum(&s.rows, by_label_op, is_somebodys, emit_owner, &e);
	counters_for_each_sum(&s.rows, by_all, NULL, emit_counts, &e);
	snapshot_free(&s);
}

/* ---- history ---- */

static const struct history_quantity blkio_quantities[] = {
	{ "reads", "I/Os", "reads that ended", true },
	{ "writes", "I/Os", "writes that ended", true },
	{ "read_bytes", "bytes", "read from block devices", true },
	{ "written_bytes", "bytes", "written to block devices", true },
	{ "read_limit", "bytes/s", "limit of reads in force, of all disks together", false },
	{ "write_limit", "bytes/s", "limit of writes in force, of all disks together", false },
	{},
};

static void sample_owner(void *data, const struct counters_row *sum)
{
	const struct blkio_total *total = total_of(sum);
	bool reads = op_of(sum) == BLKIO_READ;

	history_counter(data, sum->vm, sum->container, reads ? "reads" : "writes", count_of(total));
	history_counter(data, sum->vm, sum->container, reads ? "read_bytes" : "written_bytes", total->bytes);
	history_latency(data, sum->vm, sum->container, &total->latency);
}

static void blkio_sample(void *self, struct history *h)
{
	struct blkio *b = self;
	struct counters_rows rows;

	if (!counters_read(b->env->who, &b->total, &rows))
		counters_for_each_sum(&rows, by_label_op, is_somebodys, sample_owner, h);
	counters_free(&rows);
	blkio_limit_sample(b, h);
}

/* ---- nestorctl blkio show ---- */

/* Upper bound of the bucket that the quantile falls into, in seconds. */
static double quantile(const struct hist *h, unsigned long long count, double q)
{
	unsigned long long n = 0;

	for (unsigned int i = 0; i < HIST_BOUNDS; i++) {
		n += h->slots[i];
		if ((double)n >= q * (double)count)
			return (double)(1U << i) / 1e6;
	}
	return (double)(1U << (HIST_BOUNDS - 1)) / 1e6;
}

static void show_sum(void *data, const struct counters_row *sum)
{
	const struct blkio_total *total = total_of(sum);
	const struct hist *h = &total->latency;
	unsigned long long n = count_of(total);
	json_t *row = json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:f, s:f, s:f}", "device", json_text(sum->extra), "op",
				op_names[op_of(sum)], "vm", json_text(sum->vm), "container", json_text(sum->container), "ios",
				(json_int_t)n, "bytes", (json_int_t)total->bytes, "errors", (json_int_t)total->errors,
				"mean_seconds", n ? (double)total->latency_ns / 1e9 / (double)n : 0.0, "p50_seconds",
				quantile(h, n, 0.5), "p99_seconds", quantile(h, n, 0.99));

	json_array_append_new(data, row);
}

static json_t *blkio_show(void *self)
{
	json_t *list = json_array();
	struct snapshot s;

	if (snapshot_take(self, &s))
		return list;
	counters_for_each_sum(&s.rows, by_all, NULL, show_sum, list);
	snapshot_free(&s);
	return list;
}

/* ---- who comes and goes ---- */

static void on_born(void *data, const struct workload *one)
{
	struct blkio *b = data;

	if (!blkio_limit_born(b, one))
		return;
	blkio_target_born(b);
	blkio_limit_update(b, one);
}

static void on_gone(void *data, const struct workload *one)
{
	blkio_target_gone(data, one);
	blkio_limit_gone(data, one);
}

/* ---- life ---- */

static int blkio_probe(const struct kernel *k)
{
	static const char *const needed[] = {
		"block_rq_insert",   "block_rq_issue",	"block_rq_merge",
		"block_rq_complete", "block_bio_queue", "block_bio_complete",
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!kernel_has_tracepoint(k, needed[i]))
			return log_error(-EOPNOTSUPP, "blkio: this kernel has no tracepoint %s", needed[i]);
	return 0;
}

static void blkio_stop(void *self)
{
	struct blkio *b = self;

	if (b->watch.data)
		who_unwatch(b->env->who, &b->watch);
	blkio_limit_stop(b);
	blkio_target_stop(b);
	if (b->total.live)
		who_remove_counters(b->env->who, &b->total);
	blkio_bpf__destroy(b->bpf);
	free(b);
}

static int load(struct blkio *b)
{
	int err;

	b->bpf = blkio_bpf__open();
	if (!b->bpf)
		return log_error(-errno, "blkio: cannot open the BPF object: %m");
	b->bpf->rodata->loaded_ns = now_ns();
	b->bpf->rodata->owner_memory_v1 = b->env->kernel.memory_v1;
	err = bpfobj_pin(b->bpf->obj, b->env->pin_dir, &b->env->counters_reset) ?: who_share(b->env->who, b->bpf->obj);
	if (err)
		return err;
	bpf_program__set_autoattach(b->bpf->progs.blkio_watch_begin, false); /* see agent/blkio/target.c */
	bpf_program__set_autoattach(b->bpf->progs.blkio_watch_rq, false);
	bpf_program__set_autoattach(b->bpf->progs.blkio_watch_bio, false);
	err = blkio_bpf__load(b->bpf);
	if (err)
		return log_error(err, "blkio: the kernel refuses the BPF programs: %s", strerror(-err));
	b->total = (struct counters){
		.live = b->bpf->maps.blkio_total,
		.live_bitmap = b->bpf->maps.blkio_bitmap,
		.gone = b->bpf->maps.blkio_gone,
	};
	who_add_counters(b->env->who, &b->total);
	err = blkio_bpf__attach(b->bpf);
	return err ? log_error(err, "blkio: cannot attach: %s", strerror(-err)) : 0;
}

static const struct blkio_limit_ops limit_ops = { .cap = blkio_target_cap, .disks_changed = blkio_target_apply };

static int blkio_start(struct env *env, void **ret_self)
{
	struct blkio *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return log_error(-ENOMEM, "blkio: out of memory");
	b->env = env;
	err = load(b) ?: blkio_limit_start(b, &limit_ops) ?: blkio_target_start(b);
	if (err) {
		blkio_stop(b);
		return err;
	}
	b->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = b };
	who_watch(env->who, &b->watch);
	*ret_self = b;
	return 0;
}

static int blkio_apply(void *self, const struct policy *p)
{
	(void)p;
	blkio_target_apply(self);
	return blkio_limit_apply(self);
}

const struct room room_blkio = {
	.name = "blkio",
	.doc = "latency, bytes and errors of block I/O per device and container",
	.policy = &policy_blkio,
	.probe = blkio_probe,
	.start = blkio_start,
	.apply = blkio_apply,
	.collect = blkio_collect,
	.sample = blkio_sample,
	.quantities = blkio_quantities,
	.show = blkio_show,
	.stop = blkio_stop,
	.off = blkio_limit_off,
};
