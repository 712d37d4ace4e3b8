// SPDX-License-Identifier: GPL-2.0
/*
 * cache: who has what part of the second-level page cache. The module has the pages (kfuncs/), a BPF program says whose they
 * are (bpf/cache/cache.bpf.c); here policy becomes pools with weights, and the store's limit follows what the machine can
 * spare.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/env.h"
#include "agent/who/who.h"
#include "agent/cache/policy.h"
#include "agent/room.h"
#include "agent/base/bpfobj.h"
#include "agent/cache/program.h"
#include "agent/cache/ssd.h"
#include "agent/steer/cgroup_file.h"
#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/cache/spare_memory.h"
#include "agent/base/metrics.h"
#include "agent/base/module.h"
#include "agent/lib/util.h"
#include "bpf/cache.h"
#include "kfuncs/cache_session.h"
#include "kfuncs/session.h"
#include "build/bpf/cache/cache.skel.h"

#define PAGE 4096
#define CHECK_NS 1000000000ULL
#define OTHERS 0 /* the pool of who has none */

struct pool {
	const struct workload *one; /* NULL: of the others */
	__u64 cgroup;
};

struct cache {
	struct env *env;
	struct cache_bpf *bpf;
	struct cache_program *program; /* the user's, NULL: none */
	int session;
	struct who_watch watch;
	bool watching;
	struct pool *pools[NESTOR_CACHE_POOLS];
	struct nestor_cache_counters gone; /* of pools that are no more */
	struct source check, pressure;
	int trigger; /* of pressure */
	__u64 limit; /* pages, as the module was told */
	char *ssd; /* path of what is the SSD store, NULL: there is none */
	__u64 ssd_size;
};

static const char *const store_names[NESTOR_CACHE_STORES] = { "memory", "ssd" };
static const char *const drop_names[NESTOR_CACHE_DROPS] = {
	[NESTOR_CACHE_DROP_UNKNOWN] = "unknown",
	[NESTOR_CACHE_DROP_RACED] = "raced",
	[NESTOR_CACHE_DROP_TRANSFORMED] = "transformed",
	[NESTOR_CACHE_DROP_NO_SHARE] = "no_share",
	[NESTOR_CACHE_DROP_NO_ROOM] = "no_room",
	[NESTOR_CACHE_DROP_UNWANTED] = "unwanted",
	[NESTOR_CACHE_DROP_LARGE] = "large",
};

static const struct cache_policy *policy_of(const struct cache *c)
{
	return policy_section(c->env->policy, &policy_cache);
}

/* ---- pools ---- */

static const struct cache_pool_rule *rule_for(const struct cache *c, const struct workload *one)
{
	const struct cache_policy *p = policy_of(c);

	for (unsigned int i = 0; i < p->pools_count; i++)
		if (who_matches(one, p->pools[i].container, NULL))
			return &p->pools[i];
	return NULL;
}

static __u32 find_pool(const struct cache *c, const struct workload *one)
{
	for (__u32 id = 1; id < NESTOR_CACHE_POOLS; id++)
		if (c->pools[id] && c->pools[id]->one == one)
			return id;
	return 0;
}

static __u32 free_id(const struct cache *c)
{
	for (__u32 id = 1; id < NESTOR_CACHE_POOLS; id++)
		if (!c->pools[id])
			return id;
	return 0;
}

static const char *name_of(const struct cache *c, __u32 id)
{
	return c->pools[id]->one ? c->pools[id]->one->container : WHO_OTHER;
}

/* Tells module and BPF of a pool. 0 or -errno, logged. */
static int set_pool(struct cache *c, __u32 id, __u32 memory, __u32 ssd)
{
	struct nestor_cache_pool pool = { .id = id, .cgroup = c->pools[id]->cgroup, .weight = { memory, ssd } };
	struct cache_choice choice = { .pool = id,
				       .store = memory ? NESTOR_CACHE_MEMORY : NESTOR_CACHE_SSD,
				       .cgroup = pool.cgroup };

	if (ioctl(c->session, NESTOR_CACHE_SET_POOL, &pool))
		return log_error(-errno, "cache: cannot give %s a pool: %m", name_of(c, id));
	if (pool.cgroup && bpf_map_update_elem(bpf_map__fd(c->bpf->maps.cache_pools), &pool.cgroup, &choice, BPF_ANY))
		return log_error(-errno, "cache: cannot tell BPF of the pool of %s: %m", name_of(c, id));
	return 0;
}

static struct nestor_cache_pool_state state_of(const struct cache *c, __u32 id)
{
	struct nestor_cache_pool_state state = { .pool.id = id };

	if (ioctl(c->session, NESTOR_CACHE_POOL_STATE, &state))
		memset(&state, 0, sizeof(state));
	return state;
}

static void add_counters(struct nestor_cache_counters *to, const struct nestor_cache_counters *from)
{
	for (size_t i = 0; i < sizeof(*to) / sizeof(__u64); i++)
		((__u64 *)to)[i] += ((const __u64 *)from)[i];
}

static void drop_pool(struct cache *c, __u32 id)
{
	struct nestor_cache_pool_state state = state_of(c, id);

	bpf_map_delete_elem(bpf_map__fd(c->bpf->maps.cache_pools), &c->pools[id]->cgroup);
	add_counters(&c->gone, &state.counters);
	ioctl(c->session, NESTOR_CACHE_DROP_POOL, &id);
	free(c->pools[id]);
	c->pools[id] = NULL;
}

static int add_pool(struct cache *c, __u32 id, const struct workload *one, __u64 cgroup)
{
	c->pools[id] = calloc(1, sizeof(*c->pools[id]));
	if (!c->pools[id])
		return log_error(-ENOMEM, "cache: out of memory");
	*c->pools[id] = (struct pool){ .one = one, .cgroup = cgroup };
	return 0;
}

/* Gives @one the pool that policy wants it to have, or none. */
static void follow_policy(struct cache *c, const struct workload *one)
{
	const struct cache_pool_rule *rule = rule_for(c, one);
	__u32 id = find_pool(c, one);

	if (!rule) {
		if (id)
			drop_pool(c, id);
		return;
	}
	if (!id) {
		id = free_id(c);
		if (!id) {
			log_warning("cache: %s gets no pool, as %d containers have one already", one->container,
				    NESTOR_CACHE_POOLS - 1);
			return;
		}
		if (add_pool(c, id, one, cgroup_file_inode(kernel_task_hierarchy(&c->env->kernel)->mount, one->path)))
			return;
	}
	set_pool(c, id, rule->memory, rule->ssd);
}

static void born(void *data, const struct workload *one)
{
	if (!one->pid)
		follow_policy(data, one);
}

static void gone(void *data, const struct workload *one)
{
	struct cache *c = data;
	__u32 id = find_pool(c, one);

	if (id)
		drop_pool(c, id);
}

/* ---- the store's limit ---- */

static struct nestor_cache_limit limit_of(const struct cache *c, enum nestor_cache_store store)
{
	struct nestor_cache_limit limit = { .store = store };

	if (ioctl(c->session, NESTOR_CACHE_GET_LIMIT, &limit))
		memset(&limit, 0, sizeof(limit));
	return limit;
}

/* What policy allows, but no more than leaves min_free available. */
static __u64 wanted_pages(const struct cache *c)
{
	const struct cache_policy *p = policy_of(c);
	__u64 held = limit_of(c, NESTOR_CACHE_MEMORY).held * PAGE, available = spare_memory_available();
	__u64 most = held + available > p->min_free ? held + available - p->min_free : 0;

	if (p->mode != MODE_ENFORCE)
		return 0;
	return (most < p->memory ? most : p->memory) / PAGE;
}

static void set_limit(struct cache *c)
{
	struct nestor_cache_limit limit = { .store = NESTOR_CACHE_MEMORY, .pages = wanted_pages(c) };

	if (limit.pages == c->limit)
		return;
	if (ioctl(c->session, NESTOR_CACHE_SET_LIMIT, &limit))
		log_error(-errno, "cache: cannot set the limit of the memory store to %llu pages: %m", limit.pages);
	else
		c->limit = limit.pages;
}

static void on_check(struct source *s)
{
	loop_timer_drain(s->fd);
	set_limit(s->data);
}

/* Somebody waits for memory: a look now, and not only at the next second. What is short is another question. */
static void on_pressure(struct source *s)
{
	if (spare_memory_pressure_drain(s->fd))
		set_limit(s->data);
}

/* ---- the SSD store ---- */

static void close_ssd(struct cache *c)
{
	if (c->ssd)
		ioctl(c->session, NESTOR_CACHE_CLOSE_SSD);
	free(c->ssd);
	c->ssd = NULL;
}

/* The module keeps the device open. What went wrong is logged: the room goes on without. */
static void open_ssd(struct cache *c, const char *path, __u64 size)
{
	_close_ int fd = cache_ssd_open(path, size);
	struct nestor_cache_ssd want = { .fd = fd, .pages = size / PAGE };

	if (fd < 0)
		return;
	if (ioctl(c->session, NESTOR_CACHE_OPEN_SSD, &want)) {
		log_error(-errno, "cache: %s cannot be the SSD store: %s", path,
			  errno == EOPNOTSUPP ? "the kernel has no cipher for its pages; load the module xts"
					      : strerror(errno));
		return;
	}
	c->ssd = strdup(path);
	c->ssd_size = size;
}

static void set_ssd(struct cache *c, const struct cache_policy *p)
{
	const char *path = p->mode == MODE_ENFORCE && strcmp(p->ssd, "none") != 0 ? p->ssd : NULL;

	if (c->ssd && path && !strcmp(c->ssd, path) && c->ssd_size == p->ssd_size)
		return;
	close_ssd(c);
	if (path)
		open_ssd(c, path, p->ssd_size);
}

/* ---- exposition ---- */

static void collect_counters(const char *container, const struct nestor_cache_counters *n, struct metrics *m)
{
	struct family *hits = metrics_family(m, "nestor_cache_hits_total", METRIC_COUNTER,
					     "Pages that reads got from the second-level cache, by store.");
	struct family *puts = metrics_family(m, "nestor_cache_puts_total", METRIC_COUNTER,
					     "Pages that left the page cache and went into the second-level cache, by store.");
	struct family *evictions = metrics_family(m, "nestor_cache_evictions_total", METRIC_COUNTER,
						  "Pages that a store of the second-level cache lost to make room, by store.");
	struct family *drops = metrics_family(m, "nestor_cache_drops_total", METRIC_COUNTER,
					      "Pages that left the page cache and were not taken, by reason.");
	const char *labels = metrics_labels(m, "vm", "", "container", container, NULL);

	metrics_u64(metrics_family(m, "nestor_cache_gets_total", METRIC_COUNTER,
				   "Pages that reads into the page cache asked the second-level cache for."),
		    labels, n->gets);
	metrics_u64(metrics_family(m, "nestor_cache_demotions_total", METRIC_COUNTER,
				   "Pages that moved from the memory store to the SSD store."),
		    labels, n->demotions);
	for (unsigned int s = 0; s < NESTOR_CACHE_STORES; s++) {
		labels = metrics_labels(m, "store", store_names[s], "vm", "", "container", container, NULL);
		metrics_u64(hits, labels, n->hits[s]);
		metrics_u64(puts, labels, n->puts[s]);
		metrics_u64(evictions, labels, n->evictions[s]);
	}
	for (unsigned int d = 0; d < NESTOR_CACHE_DROPS; d++)
		metrics_u64(drops, metrics_labels(m, "reason", drop_names[d], "vm", "", "container", container, NULL),
			    n->drops[d]);
}

static void collect_pages(const char *container, const struct nestor_cache_pool_state *state, struct metrics *m)
{
	struct family *pages =
		metrics_family(m, "nestor_cache_pages", METRIC_GAUGE, "Pages in the second-level cache, by store.");
	struct family *entitlement = metrics_family(m, "nestor_cache_entitlement_pages", METRIC_GAUGE,
						    "Pages that a container's weight gives it in a store.");

	for (unsigned int s = 0; s < NESTOR_CACHE_STORES; s++) {
		const char *labels = metrics_labels(m, "store", store_names[s], "vm", "", "container", container, NULL);

		metrics_u64(pages, labels, state->pages[s]);
		metrics_u64(entitlement, labels, state->entitlement[s]);
	}
}

static void collect_module(const struct cache *c, struct metrics *m)
{
	struct nestor_cache_index index = { 0 };

	ioctl(c->session, NESTOR_CACHE_GET_INDEX, &index);
	for (unsigned int s = 0; s < NESTOR_CACHE_STORES; s++) {
		const char *labels = metrics_labels(m, "store", store_names[s], NULL);
		struct nestor_cache_limit limit = limit_of(c, s);

		metrics_u64(
			metrics_family(m, "nestor_cache_limit_pages", METRIC_GAUGE, "Pages that a store may hold at present."),
			labels, limit.pages);
		metrics_u64(metrics_family(m, "nestor_cache_held_pages", METRIC_GAUGE,
					   "Pages that a store takes, empty ones among them."),
			    labels, limit.held);
		metrics_u64(
			metrics_family(
				m, "nestor_cache_errors_total", METRIC_COUNTER,
				"Reads and writes of a store that failed or brought something else; the disk served instead."),
			labels, limit.errors);
	}
	metrics_u64(metrics_family(m, "nestor_cache_program_info", METRIC_GAUGE, "Program that chooses stores; always 1."),
		    metrics_labels(m, "program", cache_program_name(c->program), NULL), 1);
	metrics_u64(metrics_family(m, "nestor_cache_index_entries", METRIC_GAUGE,
				   "Blocks that are known: pages in the page cache and in the stores."),
		    "", index.entries - index.free);
}

static void collect_latency(const struct cache *c, struct metrics *m)
{
	static const char *const sources[NESTOR_CACHE_SOURCES] = { "memory", "ssd", "disk" };
	struct family *f = metrics_family(m, "nestor_cache_get_seconds", METRIC_HISTOGRAM,
					  "How long reads into the page cache took, each an I/O, by who served them.");

	for (unsigned int i = 0; i < NESTOR_CACHE_SOURCES; i++) {
		struct nestor_cache_latency latency = { .source = i };
		struct hist h;

		_Static_assert(sizeof(h.slots) == sizeof(latency.slots), "the same buckets");
		if (ioctl(c->session, NESTOR_CACHE_GET_LATENCY, &latency))
			continue;
		memcpy(h.slots, latency.slots, sizeof(h.slots));
		metrics_hist(f, metrics_labels(m, "source", sources[i], NULL), &h, latency.sum_ns);
	}
}

static void cache_collect(void *self, struct metrics *m)
{
	struct cache *c = self;

	bpfobj_collect(c->bpf->obj, "cache", c->bpf->maps.cache_lost, bpfobj_misses(c->bpf->progs.cache_delete), m);
	collect_module(c, m);
	collect_latency(c, m);
	for (__u32 id = 0; id < NESTOR_CACHE_POOLS; id++) {
		struct nestor_cache_pool_state state;

		if (!c->pools[id])
			continue;
		state = state_of(c, id);
		if (id == OTHERS)
			add_counters(&state.counters, &c->gone);
		collect_counters(name_of(c, id), &state.counters, m);
		collect_pages(name_of(c, id), &state, m);
	}
}

/* ---- history ---- */

static const struct history_quantity cache_quantities[] = {
	{ "cache_memory", "bytes", "held in memory", false },
	{ "cache_memory_share", "bytes", "entitlement in memory", false },
	{ "cache_ssd", "bytes", "held on the SSD", false },
	{ "cache_ssd_share", "bytes", "entitlement on the SSD", false },
	{ "cache_hits", "pages", "pages that the stores gave back", true },
	{ "cache_puts", "pages", "pages that the stores took in", true },
	{},
};

static void sample_pool(struct history *h, const char *container, const struct nestor_cache_pool_state *state)
{
	const __u64 *hits = state->counters.hits, *puts = state->counters.puts;

	history_gauge(h, "", container, "cache_memory", (double)state->pages[NESTOR_CACHE_MEMORY] * PAGE);
	history_gauge(h, "", container, "cache_memory_share", (double)state->entitlement[NESTOR_CACHE_MEMORY] * PAGE);
	history_gauge(h, "", container, "cache_ssd", (double)state->pages[NESTOR_CACHE_SSD] * PAGE);
	history_gauge(h, "", container, "cache_ssd_share", (double)state->entitlement[NESTOR_CACHE_SSD] * PAGE);
	history_counter(h, "", container, "cache_hits", hits[NESTOR_CACHE_MEMORY] + hits[NESTOR_CACHE_SSD]);
	history_counter(h, "", container, "cache_puts", puts[NESTOR_CACHE_MEMORY] + puts[NESTOR_CACHE_SSD]);
}

static void cache_sample(void *self, struct history *h)
{
	const struct cache *c = self;

	for (__u32 id = 1; id < NESTOR_CACHE_POOLS; id++) {
		struct nestor_cache_pool_state state;

		if (!c->pools[id])
			continue;
		state = state_of(c, id);
		sample_pool(h, name_of(c, id), &state);
	}
}

/* ---- nestorctl cache show ---- */

static json_t *show_stores(const __u64 of[NESTOR_CACHE_STORES])
{
	json_t *stores = json_object();

	for (unsigned int s = 0; s < NESTOR_CACHE_STORES; s++)
		json_object_set_new(stores, store_names[s], json_integer((json_int_t)of[s]));
	return stores;
}

static json_t *show_drops(const __u64 drops[NESTOR_CACHE_DROPS])
{
	json_t *all = json_object();

	for (unsigned int d = 0; d < NESTOR_CACHE_DROPS; d++)
		json_object_set_new(all, drop_names[d], json_integer((json_int_t)drops[d]));
	return all;
}

static json_t *show_pool(const char *container, const struct nestor_cache_pool_state *state)
{
	const struct nestor_cache_counters *n = &state->counters;
	const __u64 weights[NESTOR_CACHE_STORES] = { state->pool.weight[0], state->pool.weight[1] };

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "vm", "", "container", json_text(container),
			 "weight", show_stores(weights), "pages", show_stores(state->pages), "entitlement_pages",
			 show_stores(state->entitlement), "gets", (json_int_t)n->gets, "hits", show_stores(n->hits), "puts",
			 show_stores(n->puts), "evictions", show_stores(n->evictions), "drops", show_drops(n->drops));
}

static json_t *cache_show(void *self)
{
	const struct cache *c = self;
	json_t *list = json_array();

	for (__u32 id = 0; id < NESTOR_CACHE_POOLS; id++) {
		struct nestor_cache_pool_state state;

		if (!c->pools[id])
			continue;
		state = state_of(c, id);
		json_array_append_new(list, show_pool(name_of(c, id), &state));
	}
	return list;
}

/* ---- a program of the user's ---- */

static int cache_load(void *self, int file, struct buf *out)
{
	struct cache *c = self;

	return cache_program_replace(&c->program, file, bpf_program__fd(c->bpf->progs.cache_delete), out);
}

/* ---- life ---- */

static int cache_probe(const struct kernel *k)
{
	if (!kernel_has_tracepoint(k, "mm_filemap_delete_from_page_cache"))
		return log_error(-EOPNOTSUPP, "cache: this kernel has no tracepoint mm_filemap_delete_from_page_cache");
	return 0;
}

static int open_session(struct cache *c)
{
	struct nestor_cache_index index;

	c->session = module_session_open("cache", NESTOR_FEATURE_CACHE);
	if (c->session < 0)
		return c->session;
	/* Any command takes the cache. That comes before the BPF program, which would be in another agent's way. */
	if (!ioctl(c->session, NESTOR_CACHE_GET_INDEX, &index))
		return 0;
	return errno == EBUSY ? log_error(-EBUSY, "cache: another agent commands the kernel module's cache")
			      : log_error(-errno, "cache: the kernel module gives no session: %m");
}

static int load(struct cache *c)
{
	int err;

	c->bpf = cache_bpf__open();
	if (!c->bpf)
		return log_error(-errno, "cache: cannot open the BPF object: %m");
	c->bpf->rodata->cache_has_module = true;
	err = bpfobj_pin(c->bpf->obj, c->env->pin_dir, &c->env->counters_reset);
	if (err)
		return err;
	err = cache_bpf__load(c->bpf) ?: cache_bpf__attach(c->bpf);
	return err ? log_error(err, "cache: the kernel refuses the BPF program: %s", strerror(-err)) : 0;
}

static int add_sources(struct cache *c)
{
	int err;

	c->check = (struct source){ .fd = loop_timer_open(CHECK_NS, CHECK_NS), .ready = on_check, .data = c };
	err = c->check.fd < 0 ? log_error(c->check.fd, "cache: cannot have a timer") : loop_add(&c->env->loop, &c->check);
	if (err)
		return err;
	c->pressure = (struct source){ .fd = spare_memory_pressure_open(&c->trigger), .ready = on_pressure, .data = c };
	return c->pressure.fd < 0 ? 0 : loop_add(&c->env->loop, &c->pressure);
}

static void cache_stop(void *self)
{
	struct cache *c = self;

	if (c->watching)
		who_unwatch(c->env->who, &c->watch);
	if (c->check.fd >= 0)
		loop_remove(&c->env->loop, &c->check);
	if (c->pressure.fd >= 0)
		loop_remove(&c->env->loop, &c->pressure);
	if (c->trigger >= 0)
		close(c->trigger);
	free(c->ssd);
	for (__u32 id = 0; id < NESTOR_CACHE_POOLS; id++)
		free(c->pools[id]);
	cache_program_free(c->program);
	cache_bpf__destroy(c->bpf);
	if (c->session >= 0)
		close(c->session);
	free(c);
}

static int cache_start(struct env *env, void **ret_self)
{
	struct cache *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return log_error(-ENOMEM, "cache: out of memory");
	*c = (struct cache){ .env = env, .session = -1, .trigger = -1, .check.fd = -1, .pressure.fd = -1 };
	c->watch = (struct who_watch){ .born = born, .gone = gone, .data = c };
	err = open_session(c) ?: load(c) ?: add_pool(c, OTHERS, NULL, 0) ?: set_pool(c, OTHERS, 0, 0) ?: add_sources(c);
	if (err) {
		cache_stop(c);
		return err;
	}
	*ret_self = c;
	return 0;
}

static int cache_apply(void *self, const struct policy *policy)
{
	struct cache *c = self;

	set_ssd(c, policy_section(policy, &policy_cache));
	if (c->watching)
		who_unwatch(c->env->who, &c->watch);
	/* Tells of all that are there, again. */
	who_watch(c->env->who, &c->watch);
	c->watching = true;
	set_limit(c);
	return 0;
}

const struct room room_cache = {
	.name = "cache",
	.doc = "second-level page cache that containers share by weight",
	.policy = &policy_cache,
	.probe = cache_probe,
	.start = cache_start,
	.apply = cache_apply,
	.collect = cache_collect,
	.sample = cache_sample,
	.quantities = cache_quantities,
	.show = cache_show,
	.load = cache_load,
	.stop = cache_stop,
};
