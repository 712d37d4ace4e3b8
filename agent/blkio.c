// SPDX-License-Identifier: GPL-2.0
/*
 * blkio: block I/O per device and container, from bpf/blkio.bpf.c. BPF counts per owner, a cgroup's id;
 * here owners of one name are added up and shown. blkio_owners.c knows the names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/blkio.h"
#include "agent/jsontext.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/util.h"
#include "build/bpf/blkio.skel.h"

#define REST "~other"

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

/* One entry of blkio_total or blkio_gone, with names. */
struct row {
	const char *device;
	const char *container;
	__u32 dev;
	__u32 op;
	bool lower;
	const struct blkio_total *total;
};

/* A consistent copy of all maps. */
struct snapshot {
	struct table total, gone, owners, disks, stages;
	struct row *rows;
	size_t nr;
};

static void snapshot_free(struct snapshot *s)
{
	table_free(&s->total);
	table_free(&s->gone);
	table_free(&s->owners);
	table_free(&s->disks);
	table_free(&s->stages);
	free(s->rows);
}

static const char *device_name(const struct snapshot *s, __u32 dev)
{
	for (size_t i = 0; i < s->disks.nr; i++)
		if (*(const __u32 *)table_key(&s->disks, i) == dev)
			return ((const struct blkio_disk *)table_value(&s->disks, i))->name;
	return "~unknown";
}

static const char *container_name(const struct snapshot *s, const struct blkio_key *key)
{
	const struct blkio_owner_info *info;

	if (key->cgroup == BLKIO_CGROUP_NONE)
		return "";
	info = blkio_owners_find(&s->owners, key->cgroup, key->hierarchy);
	return info && info->path[0] ? info->path : REST;
}

static void add_rows(struct snapshot *s, const struct table *t)
{
	for (size_t i = 0; i < t->nr; i++) {
		const struct blkio_key *key = table_key(t, i);

		s->rows[s->nr++] = (struct row){
			.device = device_name(s, key->dev),
			.container = container_name(s, key),
			.dev = key->dev,
			.op = key->op < BLKIO_OPS ? key->op : BLKIO_OTHER,
			.lower = key->lower,
			.total = table_value(t, i),
		};
	}
}

static int snapshot_take(struct blkio *b, struct snapshot *s)
{
	int err;

	*s = (struct snapshot){};
	blkio_owners_check(b); /* names first: what was counted before has one then */
	err = table_read(b->bpf->maps.blkio_total, &s->total);
	if (!err)
		err = table_read(b->bpf->maps.blkio_gone, &s->gone);
	if (!err)
		err = table_read(b->bpf->maps.blkio_owners, &s->owners);
	if (!err)
		err = table_read(b->bpf->maps.blkio_disks, &s->disks);
	if (!err)
		err = table_read(b->bpf->maps.blkio_stage, &s->stages);
	if (!err) {
		s->rows = calloc(s->total.nr + s->gone.nr + 1, sizeof(*s->rows));
		err = s->rows ? 0 : -ENOMEM;
	}
	if (err) {
		snapshot_free(s);
		return err;
	}
	add_rows(s, &s->total);
	add_rows(s, &s->gone);
	return 0;
}

typedef int (*compare_fn)(const void *, const void *);

static int by_device_op(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	int diff = strcmp(a->device, b->device);

	return diff ? diff : (int)a->op - (int)b->op;
}

static int by_container_op(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	int diff = strcmp(a->container, b->container);

	return diff ? diff : (int)a->op - (int)b->op;
}

static int by_all(const void *pa, const void *pb)
{
	int diff = by_device_op(pa, pb);

	return diff ? diff : by_container_op(pa, pb);
}

/* Adds up rows that are equal by @compare, and calls @emit for each sum. */
static void for_each_sum(struct snapshot *s, compare_fn compare, bool (*wanted)(const struct row *),
			 void (*emit)(void *data, const struct row *sum), void *data)
{
	struct blkio_total total;
	struct row sum = {};

	qsort(s->rows, s->nr, sizeof(*s->rows), compare);
	for (size_t i = 0; i < s->nr; i++) {
		const struct row *r = &s->rows[i];

		if (wanted && !wanted(r))
			continue;
		if (sum.total && compare(&sum, r)) {
			emit(data, &sum);
			sum.total = NULL;
		}
		if (!sum.total) {
			total = (struct blkio_total){};
			sum = *r;
			sum.total = &total;
		}
		blkio_total_add(&total, r->total);
	}
	if (sum.total)
		emit(data, &sum);
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
	const struct snapshot *snapshot;
};

static bool has_stages(const struct snapshot *s, __u32 dev)
{
	for (size_t i = 0; i < s->stages.nr; i++)
		if (((const struct blkio_stage_key *)table_key(&s->stages, i))->dev == dev)
			return true;
	return false;
}

static void emit_device(void *data, const struct row *sum)
{
	struct emit *e = data;
	const char *op = op_names[sum->op];

	family_hist(e->latency, metrics_labels(e->m, "device", sum->device, "op", op, "stage", "total", NULL),
		    &sum->total->latency);
	/* A device that takes bios has no queue of its own: all of the time is the device's. */
	if (!has_stages(e->snapshot, sum->dev))
		family_hist(e->latency, metrics_labels(e->m, "device", sum->device, "op", op, "stage", "device", NULL),
			    &sum->total->latency);
}

/* What a container waits for is the device that it addressed: the layers below are in that time already. */
static bool is_containers(const struct row *r)
{
	return !r->lower && r->op <= BLKIO_WRITE && r->container[0];
}

static void emit_container(void *data, const struct row *sum)
{
	struct emit *e = data;

	family_hist(e->latency, metrics_labels(e->m, "vm", "", "container", sum->container, "op", op_names[sum->op], NULL),
		    &sum->total->latency);
}

static void emit_counts(void *data, const struct row *sum)
{
	struct emit *e = data;
	const char *labels = metrics_labels(e->m, "device", sum->device, "op", op_names[sum->op], "vm", "", "container",
					    sum->container, NULL);

	family_u64(e->bytes, labels, sum->total->bytes);
	family_u64(e->ios, labels, count_of(sum->total));
	family_u64(e->errors, labels, sum->total->errors);
}

static void collect_stages(const struct snapshot *s, struct emit *e)
{
	for (size_t i = 0; i < s->stages.nr; i++) {
		const struct blkio_stage_key *key = table_key(&s->stages, i);
		const char *device = device_name(s, key->dev);
		const char *op = op_names[key->op < BLKIO_OPS ? key->op : BLKIO_OTHER];
		struct blkio_stage sum;

		percpu_sum(table_value(&s->stages, i), sizeof(sum) / sizeof(__u64), (__u64 *)&sum);
		family_hist(e->latency, metrics_labels(e->m, "device", device, "op", op, "stage", "queue", NULL), &sum.queue);
		family_hist(e->latency, metrics_labels(e->m, "device", device, "op", op, "stage", "device", NULL), &sum.device);
	}
}

static void read_sources(struct blkio *b, __u64 *ret_counts)
{
	_free_ __u64 *values = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*values));

	for (__u32 i = 0; i < BLKIO_SOURCES; i++) {
		ret_counts[i] = 0;
		if (values && !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.blkio_source), &i, values))
			percpu_sum(values, 1, &ret_counts[i]);
	}
}

static void collect_sources(struct blkio *b, struct metrics *m)
{
	struct family *f = metrics_family(
		m, "nestor_blkio_owner_total", METRIC_COUNTER,
		"I/Os by how their owner was found: blkcg, first folio, task, or none (a flush, or nothing told).");
	__u64 counts[BLKIO_SOURCES];

	read_sources(b, counts);
	for (unsigned int i = 0; i < BLKIO_SOURCES; i++)
		family_u64(f, metrics_labels(m, "source", source_names[i], NULL), counts[i]);
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
	struct emit e = { .m = m, .snapshot = &s };

	bpfobj_collect(b->bpf->obj, "blkio", b->bpf->maps.blkio_lost, nested(b), m);
	collect_sources(b, m);
	if (snapshot_take(b, &s))
		return;
	e.latency = metrics_family(m, "nestor_blkio_latency_seconds", METRIC_HISTOGRAM,
				   "Time of I/Os, per device (in its queue, in the device, in all) and per container.");
	e.bytes = metrics_family(m, "nestor_blkio_bytes_total", METRIC_COUNTER, "Bytes moved by I/Os that succeeded.");
	e.ios = metrics_family(m, "nestor_blkio_ios_total", METRIC_COUNTER, "I/Os completed, also with an error.");
	e.errors = metrics_family(m, "nestor_blkio_errors_total", METRIC_COUNTER, "I/Os that failed.");
	for_each_sum(&s, by_device_op, NULL, emit_device, &e);
	collect_stages(&s, &e);
	for_each_sum(&s, by_container_op, is_containers, emit_container, &e);
	for_each_sum(&s, by_all, NULL, emit_counts, &e);
	snapshot_free(&s);
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

static void show_sum(void *data, const struct row *sum)
{
	const struct hist *h = &sum->total->latency;
	unsigned long long n = count_of(sum->total);
	json_t *row = json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:f, s:f, s:f}", "device", json_text(sum->device), "op",
				op_names[sum->op], "container", json_text(sum->container), "ios", (json_int_t)n, "bytes",
				(json_int_t)sum->total->bytes, "errors", (json_int_t)sum->total->errors, "mean_seconds",
				n ? (double)h->sum_ns / 1e9 / (double)n : 0.0, "p50_seconds", quantile(h, n, 0.5),
				"p99_seconds", quantile(h, n, 0.99));

	json_array_append_new(data, row);
}

static json_t *blkio_show(void *self)
{
	json_t *list = json_array();
	struct snapshot s;

	if (snapshot_take(self, &s))
		return list;
	for_each_sum(&s, by_all, NULL, show_sum, list);
	snapshot_free(&s);
	return list;
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

	blkio_owners_stop(b);
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
	b->bpf->rodata->owner_memory_v1 = b->agent->kernel.memory_v1;
	err = bpfobj_pin(b->bpf->obj, agent_pin_dir(b->agent), &b->agent->counters_reset);
	if (err)
		return err;
	err = blkio_bpf__load(b->bpf);
	if (err)
		return log_error(err, "blkio: the kernel refuses the BPF programs: %s", strerror(-err));
	b->bpf->data->max_owners = b->agent->policy->agent.max_containers;
	err = blkio_owners_start(b);
	if (err)
		return err;
	err = blkio_bpf__attach(b->bpf);
	return err ? log_error(err, "blkio: cannot attach: %s", strerror(-err)) : 0;
}

static int blkio_start(struct agent *a, void **ret_self)
{
	struct blkio *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return log_error(-ENOMEM, "blkio: out of memory");
	b->agent = a;
	b->new_owners.fd = b->check.fd = -1;
	err = load(b);
	if (err) {
		blkio_stop(b);
		return err;
	}
	*ret_self = b;
	return 0;
}

static int blkio_apply(void *self, const struct policy *p)
{
	struct blkio *b = self;

	b->bpf->data->max_owners = p->agent.max_containers;
	b->linger_ns = p->agent.linger * 1000000000ULL;
	blkio_owners_check(b);
	return 0;
}

static bool blkio_wanted(const struct policy *p)
{
	return p->blkio.mode != MODE_OFF;
}

const struct room room_blkio = {
	.name = "blkio",
	.doc = "latency, bytes and errors of block I/O per device and container",
	.wanted = blkio_wanted,
	.probe = blkio_probe,
	.start = blkio_start,
	.apply = blkio_apply,
	.collect = blkio_collect,
	.show = blkio_show,
	.stop = blkio_stop,
};
