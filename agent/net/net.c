// SPDX-License-Identifier: GPL-2.0
/* net: bytes, packets, retransmissions and migration traffic per container and VM, from bpf/net/net.bpf.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "agent/base/history.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/room.h"
#include "agent/base/metrics.h"
#include "agent/net/net.h"
#include "agent/net/tc.h"
#include "agent/lib/util.h"
#include "build/bpf/net/net.skel.h"

static bool has_tcx; /* seen by net_probe() while the kernel's BTF is at hand */

/* ---- exposition ---- */

static const struct net_total *total_of(const struct counters_row *r)
{
	return (const struct net_total *)r->value;
}

struct emit {
	struct metrics *m;
	struct family *bytes, *packets, *retransmits;
};

static void emit_flow(struct emit *e, const struct counters_row *sum, const char *direction, const struct net_flow *flow)
{
	const char *labels = metrics_labels(e->m, "direction", direction, "vm", sum->vm, "container", sum->container, NULL);

	metrics_u64(e->bytes, labels, flow->bytes);
	metrics_u64(e->packets, labels, flow->packets);
}

static void emit_owner(void *data, const struct counters_row *sum)
{
	const struct net_total *total = total_of(sum);
	struct emit *e = data;

	emit_flow(e, sum, "rx", &total->rx);
	emit_flow(e, sum, "tx", &total->tx);
	metrics_u64(e->retransmits, metrics_labels(e->m, "vm", sum->vm, "container", sum->container, NULL), total->retransmits);
}

/* ---- migrations ---- */

static unsigned int kind_of(const struct counters_row *r)
{
	unsigned int kind = ((const struct net_migration_key *)r->key)->kind;

	return kind < MIGRATION_KINDS ? kind : MIGRATION_OTHER;
}

static int by_label_kind(const void *pa, const void *pb)
{
	return counters_by_label(pa, pb) ?: (int)kind_of(pa) - (int)kind_of(pb);
}

static void for_each_migration(const struct net *n, counters_compare_fn compare,
			       void (*emit)(void *data, const struct counters_row *sum), void *data)
{
	struct counters_rows rows;

	if (!counters_read(n->env->who, &n->migration, &rows))
		counters_for_each_sum(&rows, compare, NULL, emit, data);
	counters_free(&rows);
}

struct emit_migrations {
	struct metrics *m;
	struct family *bytes;
	bool has[MIGRATION_KINDS];
};

static void add_migration(const struct emit_migrations *e, unsigned int kind, const char *vm, const char *container,
			  const struct net_migrated *migrated)
{
	const char *name = net_kind_names[kind];

	metrics_u64(e->bytes, metrics_labels(e->m, "kind", name, "direction", "rx", "vm", vm, "container", container, NULL),
		    migrated->rx_bytes);
	metrics_u64(e->bytes, metrics_labels(e->m, "kind", name, "direction", "tx", "vm", vm, "container", container, NULL),
		    migrated->tx_bytes);
}

static void emit_migration(void *data, const struct counters_row *sum)
{
	struct emit_migrations *e = data;

	e->has[kind_of(sum)] = true;
	add_migration(e, kind_of(sum), sum->vm, sum->container, (const struct net_migrated *)sum->value);
}

/* Of a kind that nobody used yet there is a 0, lest its first bytes be no growth. */
static void collect_migrations(const struct net *n, struct metrics *m)
{
	struct emit_migrations e = { .m = m };

	e.bytes = metrics_family(m, "nestor_net_migration_bytes_total", METRIC_COUNTER,
				 "Bytes of IP packets of sockets that carry a migration, as policy net.migration says.");
	for_each_migration(n, by_label_kind, emit_migration, &e);
	for (unsigned int kind = 0; kind < MIGRATION_KINDS; kind++)
		if (!e.has[kind])
			add_migration(&e, kind, "", "", &(struct net_migrated){});
}

static void net_collect(void *self, struct metrics *m)
{
	struct emit e = { .m = m };
	struct net *n = self;
	struct counters_rows rows;

	bpfobj_collect(n->bpf->obj, "net", n->bpf->maps.net_lost, 0, m);
	collect_migrations(n, m);
	e.bytes = metrics_family(m, "nestor_net_bytes_total", METRIC_COUNTER, "Bytes of IP packets, headers included.");
	e.packets = metrics_family(m, "nestor_net_packets_total", METRIC_COUNTER, "IP packets, as they are on the wire.");
	e.retransmits = metrics_family(m, "nestor_net_retransmits_total", METRIC_COUNTER, "TCP segments sent again.");
	if (!counters_read(n->env->who, &n->total, &rows))
		counters_for_each_sum(&rows, counters_by_label, NULL, emit_owner, &e);
	counters_free(&rows);
	net_limit_collect(n, m);
}

/* ---- history ---- */

static const struct history_quantity net_quantities[] = {
	{ "received_bytes", "bytes", "received", true },
	{ "sent_bytes", "bytes", "sent", true },
	{ "retransmits", "segments", "TCP segments sent again", true },
	{ "migration_bytes", "bytes", "received and sent by migrations", true },
	{ "receive_limit", "bytes/s", "limit of receiving in force", false },
	{ "send_limit", "bytes/s", "limit of sending in force", false },
	{},
};

static void sample_owner(void *data, const struct counters_row *sum)
{
	const struct net_total *total = total_of(sum);

	history_counter(data, sum->vm, sum->container, "received_bytes", total->rx.bytes);
	history_counter(data, sum->vm, sum->container, "sent_bytes", total->tx.bytes);
	history_counter(data, sum->vm, sum->container, "retransmits", total->retransmits);
	history_counter(data, sum->vm, sum->container, "migration_bytes", 0); /* and what sample_migration() adds */
}

/* All kinds and both directions together. */
static void sample_migration(void *data, const struct counters_row *sum)
{
	const struct net_migrated *migrated = (const struct net_migrated *)sum->value;

	history_counter(data, sum->vm, sum->container, "migration_bytes", migrated->rx_bytes + migrated->tx_bytes);
}

static void net_sample(void *self, struct history *h)
{
	struct net *n = self;
	struct counters_rows rows;

	if (!counters_read(n->env->who, &n->total, &rows))
		counters_for_each_sum(&rows, counters_by_label, NULL, sample_owner, h);
	counters_free(&rows);
	for_each_migration(n, counters_by_label, sample_migration, h);
	net_limit_sample(n, h);
}

/* ---- nestorctl net show ---- */

static void show_owner(void *data, const struct counters_row *sum)
{
	const struct net_total *total = total_of(sum);

	json_array_append_new(data,
			      json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "vm", json_text(sum->vm), "container",
					json_text(sum->container), "rx_bytes", (json_int_t)total->rx.bytes, "tx_bytes",
					(json_int_t)total->tx.bytes, "rx_packets", (json_int_t)total->rx.packets, "tx_packets",
					(json_int_t)total->tx.packets, "retransmits", (json_int_t)total->retransmits));
}

static void show_migration(void *data, const struct counters_row *sum)
{
	const struct net_migrated *migrated = (const struct net_migrated *)sum->value;

	json_array_append_new(data, json_pack("{s:s, s:o, s:o, s:I, s:I}", "migration", net_kind_names[kind_of(sum)], "vm",
					      json_text(sum->vm), "container", json_text(sum->container), "rx_bytes",
					      (json_int_t)migrated->rx_bytes, "tx_bytes", (json_int_t)migrated->tx_bytes));
}

static json_t *net_show(void *self)
{
	json_t *list = json_array();
	struct net *n = self;
	struct counters_rows rows;

	if (!counters_read(n->env->who, &n->total, &rows))
		counters_for_each_sum(&rows, counters_by_label, NULL, show_owner, list);
	counters_free(&rows);
	for_each_migration(n, by_label_kind, show_migration, list);
	return list;
}

/* ---- sockets and VMs that are there already ---- */

/* Has BPF look at the files of process @pid (0: of all) for sockets that it did not see when they were opened. */
static int find_sockets(struct net *n, int pid)
{
	union bpf_iter_link_info info = { .task = { .pid = (__u32)pid } };
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(n->bpf->progs.net_find, &opts);
	_close_ int iter = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	int err = iter < 0 ? -errno : 0;
	char nothing[64];

	while (!err && read(iter, nothing, sizeof(nothing)) > 0)
		;
	bpf_link__destroy(link);
	return err;
}

static void on_born(void *data, const struct workload *one)
{
	struct net *n = data;

	if (!one->vm[0])
		return;
	net_taps_update(n, one);
	find_sockets(n, one->pid);
}

static void on_gone(void *data, const struct workload *one)
{
	net_taps_drop(data, one);
}

/* ---- life ---- */

static int net_probe(const struct kernel *k)
{
	if (!kernel_hierarchy(k, 0))
		return log_error(-EOPNOTSUPP, "net: no cgroup v2 hierarchy is mounted, to which programs for sockets are "
					      "attached; an empty one will do: mount -t cgroup2 none DIR");
	has_tcx = kernel_has_struct(k, "tcx_link");
	return 0;
}

static void net_stop(void *self)
{
	struct net *n = self;

	net_limit_stop(n);
	if (n->watch.born)
		who_unwatch(n->env->who, &n->watch);
	net_taps_drop(n, NULL);
	if (n->total.live) {
		who_remove_counters(n->env->who, &n->total);
		who_remove_counters(n->env->who, &n->migration);
	}
	net_bpf__destroy(n->bpf);
	free(n);
}

static int load(struct net *n)
{
	int err;

	n->bpf = net_bpf__open();
	if (!n->bpf)
		return log_error(-errno, "net: cannot open the BPF object: %m");
	n->bpf->rodata->owner_memory_v1 = n->env->kernel.memory_v1;
	bpf_program__set_autoattach(n->bpf->progs.net_find, false);
	err = bpfobj_pin(n->bpf->obj, n->env->pin_dir, &n->env->counters_reset) ?: who_share(n->env->who, n->bpf->obj);
	if (err)
		return err;
	err = net_bpf__load(n->bpf);
	return err ? log_error(err, "net: the kernel refuses the BPF programs: %s", strerror(-err)) : 0;
}

static int attach_cgroup(struct bpf_program *prog, struct bpf_link **ret_link, int cgroup)
{
	*ret_link = bpf_program__attach_cgroup(prog, cgroup);
	return *ret_link ? 0 : -errno;
}

/* New sockets first, then those that are there, then packets: a packet's socket has been seen, if it can be. */
static int attach(struct net *n)
{
	int root = kernel_hierarchy(&n->env->kernel, 0)->mount_fd;
	struct net_bpf *b = n->bpf;
	int err;

	err = attach_cgroup(b->progs.net_open, &b->links.net_open, root)
		      ?: find_sockets(n, 0)
		      ?: attach_cgroup(b->progs.net_rx, &b->links.net_rx, root)
		      ?: attach_cgroup(b->progs.net_tx, &b->links.net_tx, root)
		      ?: net_bpf__attach(b);
	return err ? log_error(err, "net: cannot attach: %s", strerror(-err)) : 0;
}

static int begin(struct net *n)
{
	int err;

	if (!n->has_tcx)
		tc_clean("net_tap_");
	err = load(n);
	if (err)
		return err;
	n->total = (struct counters){ .live = n->bpf->maps.net_total, .gone = n->bpf->maps.net_gone };
	n->migration = (struct counters){ .live = n->bpf->maps.net_migration, .gone = n->bpf->maps.net_migr_gone };
	who_add_counters(n->env->who, &n->total);
	who_add_counters(n->env->who, &n->migration);
	err = attach(n);
	if (err)
		return err;
	n->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = n };
	who_watch(n->env->who, &n->watch);
	return net_limit_start(n);
}

static int net_start(struct env *env, void **ret_self)
{
	struct net *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return log_error(-ENOMEM, "net: out of memory");
	n->env = env;
	n->has_tcx = has_tcx;
	err = begin(n);
	if (err) {
		net_stop(n);
		return err;
	}
	*ret_self = n;
	return 0;
}

static int net_apply(void *self, const struct policy *policy)
{
	const struct net_policy *p = policy_section(policy, &policy_net);

	return net_rules_apply(self, p) ?: net_limit_apply(self, p);
}

const struct room room_net = {
	.name = "net",
	.doc = "bytes, packets, retransmissions and migration traffic per container and VM",
	.policy = &policy_net,
	.probe = net_probe,
	.start = net_start,
	.apply = net_apply,
	.collect = net_collect,
	.sample = net_sample,
	.quantities = net_quantities,
	.show = net_show,
	.stop = net_stop,
	.off = net_limit_undo,
};
