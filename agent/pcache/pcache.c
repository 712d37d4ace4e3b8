// SPDX-License-Identifier: GPL-2.0
/*
 * pcache: hits, misses and evictions of the page cache per container and VM, from bpf/pcache/pcache.bpf.c. How many pages one
 * has, and how many of those it lost came back, is the memory controller's to say (agent/pcache/memory_stat.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/pcache/policy.h"
#include "agent/room.h"
#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/pcache/memory_stat.h"
#include "agent/base/metrics.h"
#include "agent/who/counters.h"
#include "agent/lib/util.h"
#include "bpf/pcache.h"
#include "build/bpf/pcache/pcache.skel.h"

#define READAHEAD_MAX 4096 /* pages, 16 MiB */

struct pcache {
	struct env *env;
	struct pcache_bpf *bpf;
	bool approximate; /* accesses are learnt at the entry of the kernel's functions */
	struct counters total; /* struct pcache_total */
	struct counters derived; /* struct pcache_derived, both maps of the agent's own */
};

/* ---- figures ---- */

struct row {
	const char *vm, *container;
	struct pcache_total total;
	struct pcache_derived derived;
	__u64 pages;
};

struct snapshot {
	struct pcache *p;
	struct counters_rows total, derived;
	struct row *rows; /* sorted by vm and container */
	size_t nr;
	__u64 named_pages;
};

static void snapshot_free(struct snapshot *s)
{
	counters_free(&s->total);
	counters_free(&s->derived);
	free(s->rows);
}

static void add_total(void *data, const struct counters_row *sum)
{
	struct snapshot *s = data;
	struct row *r = &s->rows[s->nr++];

	*r = (struct row){ .vm = sum->vm, .container = sum->container };
	memcpy(&r->total, sum->value, sizeof(r->total));
}

static int by_label(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;

	return strcmp(a->vm, b->vm) ?: strcmp(a->container, b->container);
}

static struct row *find_row(const struct snapshot *s, const char *vm, const char *container)
{
	struct row key = { .vm = vm, .container = container };

	return bsearch(&key, s->rows, s->nr, sizeof(*s->rows), by_label);
}

static void add_derived(void *data, const struct counters_row *sum)
{
	struct snapshot *s = data;
	struct row *r = find_row(s, sum->vm, sum->container);

	if (r)
		memcpy(&r->derived, sum->value, sizeof(r->derived));
}

/*
 * hits = accesses - misses, as a counter that never goes down. Readahead brings pages before they are asked for, so for
 * a while there are more misses: hits are what comes above the highest mark so far. But pages that readahead brought
 * in vain are never asked for: the mark does not stay above by more than what may be on its way.
 */
static void derive_hits(const struct pcache_total *total, const struct pcache_derived *gone, struct pcache_derived *live)
{
	__s64 now = (__s64)(total->accesses - total->misses), mark = (__s64)(live->mark + gone->mark);

	if (now > mark) {
		live->hits += (__u64)(now - mark);
		mark = now;
	} else if (mark - now > READAHEAD_MAX) {
		mark = now + READAHEAD_MAX;
	}
	live->mark = (__u64)mark - gone->mark;
}

static bool has_series(const struct counters_row *r)
{
	return strcmp(r->container, WHO_OTHER) != 0;
}

/* @sum: all that one owner counted. */
static void derive(void *data, const struct counters_row *sum)
{
	struct snapshot *s = data;
	int live_fd = bpf_map__fd(s->p->derived.live), gone_fd = bpf_map__fd(s->p->derived.gone);
	struct pcache_derived was = {}, gone = {}, now;
	struct memory_stat stat;
	struct row *r;

	bpf_map_lookup_elem(live_fd, sum->key, &was);
	bpf_map_lookup_elem(gone_fd, sum->key, &gone);
	now = was;
	derive_hits((const struct pcache_total *)sum->value, &gone, &now);
	if (has_series(sum) && !memory_stat_read(&s->p->env->kernel, sum->key, &stat)) {
		if (stat.refaults > now.refaults)
			now.refaults = stat.refaults;
		r = find_row(s, sum->vm, sum->container);
		r->pages += stat.pages;
		s->named_pages += stat.pages;
	}
	if (memcmp(&was, &now, sizeof(was)))
		bpf_map_update_elem(live_fd, sum->key, &now, BPF_ANY);
}

static int by_owner(const void *pa, const void *pb)
{
	const struct counters_row *a = pa, *b = pb;

	return memcmp(a->key, b->key, sizeof(struct owner));
}

/* The rest has what of the machine's pages nobody else has. */
static void count_others_pages(struct snapshot *s)
{
	struct row *other = find_row(s, "", WHO_OTHER);
	__u64 pages;

	if (other && !memory_stat_read_machine(&s->p->env->kernel, &pages) && pages > s->named_pages)
		other->pages = pages - s->named_pages;
}

static int snapshot_take(struct pcache *p, struct snapshot *s)
{
	int err;

	*s = (struct snapshot){ .p = p };
	err = counters_read(p->env->who, &p->total, &s->total);
	if (!err) {
		s->rows = calloc(s->total.nr + 1, sizeof(*s->rows));
		err = s->rows ? 0 : -ENOMEM;
	}
	if (!err) {
		counters_for_each_sum(&s->total, counters_by_label, NULL, add_total, s);
		counters_for_each_sum(&s->total, by_owner, NULL, derive, s);
		count_others_pages(s);
		err = counters_read(p->env->who, &p->derived, &s->derived);
	}
	if (err) {
		snapshot_free(s);
		return err;
	}
	counters_for_each_sum(&s->derived, counters_by_label, NULL, add_derived, s);
	return 0;
}

/* ---- exposition ---- */

/* Pages that a program did not see, as it was running on that CPU already. */
static unsigned long long nested(const struct pcache *p)
{
	unsigned long long n = 0;
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, p->bpf->obj)
		n += bpfobj_misses(prog);
	return n;
}

static void collect_rows(const struct snapshot *s, struct metrics *m)
{
	struct family *hits = metrics_family(m, "nestor_pcache_hits_total", METRIC_COUNTER,
					     "Pages of files that reads and faults found in the page cache.");
	struct family *misses = metrics_family(m, "nestor_pcache_misses_total", METRIC_COUNTER,
					       "Pages of files brought into the page cache to be read, readahead's too.");
	struct family *evictions = metrics_family(m, "nestor_pcache_evictions_total", METRIC_COUNTER,
						  "Pages of files that left the page cache, by reason.");
	struct family *refaults = metrics_family(m, "nestor_pcache_refaults_total", METRIC_COUNTER,
						 "Pages of files brought back soon after they were evicted.");
	struct family *pages = metrics_family(m, "nestor_pcache_pages", METRIC_GAUGE, "Pages of files in the page cache.");

	for (size_t i = 0; i < s->nr; i++) {
		const struct row *r = &s->rows[i];
		const char *labels = metrics_labels(m, "vm", r->vm, "container", r->container, NULL);

		metrics_u64(hits, labels, r->derived.hits);
		metrics_u64(misses, labels, r->total.misses);
		metrics_u64(refaults, labels, r->derived.refaults);
		metrics_u64(pages, labels, r->pages);
		labels = metrics_labels(m, "reason", "reclaim", "vm", r->vm, "container", r->container, NULL);
		metrics_u64(evictions, labels, r->total.reclaimed);
		labels = metrics_labels(m, "reason", "invalidate", "vm", r->vm, "container", r->container, NULL);
		metrics_u64(evictions, labels, r->total.invalidated);
	}
}

static void pcache_collect(void *self, struct metrics *m)
{
	struct pcache *p = self;
	struct snapshot s;

	bpfobj_collect(p->bpf->obj, "pcache", p->bpf->maps.pcache_lost, nested(p), m);
	metrics_u64(metrics_family(m, "nestor_pcache_approximate", METRIC_GAUGE,
				   "1 if this kernel tells of accesses only what was asked for, not what was done."),
		    "", p->approximate);
	if (snapshot_take(p, &s))
		return;
	collect_rows(&s, m);
	snapshot_free(&s);
}

/* ---- history ---- */

static const struct history_quantity pcache_quantities[] = {
	{ "accesses", "pages", "pages of files that were asked for", true },
	{ "misses", "pages", "pages that had to be read", true },
	{ "evictions", "pages", "pages that the kernel reclaimed", true },
	{ "invalidations", "pages", "pages that were dropped with their file or by request", true },
	{},
};

static void sample_owner(void *data, const struct counters_row *sum)
{
	const struct pcache_total *total = (const struct pcache_total *)sum->value;

	history_counter(data, sum->vm, sum->container, "accesses", total->accesses);
	history_counter(data, sum->vm, sum->container, "misses", total->misses);
	history_counter(data, sum->vm, sum->container, "evictions", total->reclaimed);
	history_counter(data, sum->vm, sum->container, "invalidations", total->invalidated);
}

/*
 * Accesses, and not hits, which are what remains when all misses of a read are known: to derive them every few seconds,
 * and so in the midst of large reads, would spoil the metric.
 */
static void pcache_sample(void *self, struct history *h)
{
	struct pcache *p = self;
	struct counters_rows rows;

	if (!counters_read(p->env->who, &p->total, &rows))
		counters_for_each_sum(&rows, counters_by_label, NULL, sample_owner, h);
	counters_free(&rows);
}

/* ---- nestorctl pcache show ---- */

static json_t *show_row(const struct row *r)
{
	__u64 accesses = r->derived.hits + r->total.misses;

	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "vm", json_text(r->vm), "container",
			 json_text(r->container), "accesses", (json_int_t)r->total.accesses, "hits",
			 (json_int_t)r->derived.hits, "misses", (json_int_t)r->total.misses, "hit_ratio",
			 accesses ? (double)r->derived.hits / (double)accesses : 0.0, "evictions_reclaim",
			 (json_int_t)r->total.reclaimed, "evictions_invalidate", (json_int_t)r->total.invalidated, "refaults",
			 (json_int_t)r->derived.refaults, "pages", (json_int_t)r->pages);
}

static json_t *pcache_show(void *self)
{
	json_t *list = json_array();
	struct snapshot s;

	if (snapshot_take(self, &s))
		return list;
	for (size_t i = 0; i < s.nr; i++)
		json_array_append_new(list, show_row(&s.rows[i]));
	snapshot_free(&s);
	return list;
}

/* ---- life ---- */

static int pcache_probe(const struct kernel *k)
{
	static const char *const needed[] = { "mm_filemap_add_to_page_cache", "mm_filemap_delete_from_page_cache" };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!kernel_has_tracepoint(k, needed[i]))
			return log_error(-EOPNOTSUPP, "pcache: this kernel has no tracepoint %s", needed[i]);
	return 0;
}

static bool has_access_tracepoints(void)
{
	static const char *const needed[] = { "mm_filemap_get_pages", "mm_filemap_map_pages", "mm_filemap_fault" };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (libbpf_find_vmlinux_btf_id(needed[i], BPF_TRACE_RAW_TP) < 0)
			return false;
	return true;
}

/* The tracepoints where there are any: the kernel's functions change, and some kernels refuse programs there. */
static void choose_programs(struct pcache *p)
{
	p->approximate = !has_access_tracepoints();
	bpf_program__set_autoload(p->bpf->progs.pcache_get_pages, !p->approximate);
	bpf_program__set_autoload(p->bpf->progs.pcache_map_pages, !p->approximate);
	bpf_program__set_autoload(p->bpf->progs.pcache_fault, !p->approximate);
	bpf_program__set_autoload(p->bpf->progs.pcache_read, p->approximate);
	bpf_program__set_autoload(p->bpf->progs.pcache_map_entry, p->approximate);
	bpf_program__set_autoload(p->bpf->progs.pcache_fault_entry, p->approximate);
}

static int refused(const struct pcache *p, int err)
{
	if (!p->approximate)
		return log_error(err, "pcache: the kernel refuses the BPF programs: %s", strerror(-err));
	return log_error(err,
			 "pcache: this kernel has no tracepoint mm_filemap_get_pages, and refuses BPF programs at the entry "
			 "of its functions (fentry): %s",
			 strerror(-err));
}

static int load(struct pcache *p)
{
	struct env *env = p->env;
	int err;

	p->bpf = pcache_bpf__open();
	if (!p->bpf)
		return log_error(-errno, "pcache: cannot open the BPF object: %m");
	p->bpf->rodata->owner_memory_v1 = env->kernel.memory_v1;
	choose_programs(p);
	err = bpfobj_pin(p->bpf->obj, env->pin_dir, &env->counters_reset) ?: who_share(env->who, p->bpf->obj);
	if (err)
		return err;
	err = pcache_bpf__load(p->bpf);
	if (err)
		return refused(p, err);
	p->total = (struct counters){ .live = p->bpf->maps.pcache_total, .gone = p->bpf->maps.pcache_gone };
	p->derived = (struct counters){ .live = p->bpf->maps.pcache_derived, .gone = p->bpf->maps.pcache_dgone };
	who_add_counters(env->who, &p->total);
	who_add_counters(env->who, &p->derived);
	err = pcache_bpf__attach(p->bpf);
	return err ? refused(p, err) : 0;
}

static void pcache_stop(void *self)
{
	struct pcache *p = self;

	if (p->total.live) {
		who_remove_counters(p->env->who, &p->total);
		who_remove_counters(p->env->who, &p->derived);
	}
	pcache_bpf__destroy(p->bpf);
	free(p);
}

static int pcache_start(struct env *env, void **ret_self)
{
	struct pcache *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return log_error(-ENOMEM, "pcache: out of memory");
	p->env = env;
	err = load(p);
	if (err) {
		pcache_stop(p);
		return err;
	}
	*ret_self = p;
	return 0;
}

static int pcache_apply(void *self, const struct policy *policy)
{
	(void)self;
	(void)policy;
	return 0;
}

const struct room room_pcache = {
	.name = "pcache",
	.doc = "hits, misses and evictions of the page cache per container and VM",
	.policy = &policy_pcache,
	.probe = pcache_probe,
	.start = pcache_start,
	.apply = pcache_apply,
	.collect = pcache_collect,
	.sample = pcache_sample,
	.quantities = pcache_quantities,
	.show = pcache_show,
	.stop = pcache_stop,
};
