// SPDX-License-Identifier: GPL-2.0
/* net: bytes, packets, retransmissions and migration traffic per container and VM, from bpf/net.bpf.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "agent/jsontext.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/net.h"
#include "agent/tc.h"
#include "agent/util.h"
#include "build/bpf/net.skel.h"

static bool has_tcx; /* seen by net_probe() while the kernel's BTF is at hand */

/* ---- exposition ---- */

static const char *const kind_names[] = {
	[MIGRATION_CRIU] = "criu",
	[MIGRATION_QEMU] = "qemu",
	[MIGRATION_CLOUD_HYPERVISOR] = "cloud-hypervisor",
	[MIGRATION_OTHER] = "other",
};

_Static_assert(ARRAY_SIZE(kind_names) == MIGRATION_KINDS, "a name for each kind");

const char *net_kind_name(unsigned int kind)
{
	return kind_names[kind];
}

static const struct net_total *total_of(const struct tally_row *r)
{
	return (const struct net_total *)r->value;
}

struct emit {
	struct metrics *m;
	struct family *bytes, *packets, *retransmits;
};

static void emit_flow(struct emit *e, const struct tally_row *sum, const char *direction, const struct net_flow *flow)
{
	const char *labels = metrics_labels(e->m, "direction", direction, "vm", sum->vm, "container", sum->container, NULL);

	family_u64(e->bytes, labels, flow->bytes);
	family_u64(e->packets, labels, flow->packets);
}

static void emit_owner(void *data, const struct tally_row *sum)
{
	const struct net_total *total = total_of(sum);
	struct emit *e = data;

	emit_flow(e, sum, "rx", &total->rx);
	emit_flow(e, sum, "tx", &total->tx);
	family_u64(e->retransmits, metrics_labels(e->m, "vm", sum->vm, "container", sum->container, NULL), total->retransmits);
}

static struct net_migrated migrated(const struct net *n, __u32 kind)
{
	_free_ struct net_migrated *cpus = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*cpus));
	struct net_migrated sum = {};

	if (cpus && !bpf_map_lookup_elem(bpf_map__fd(n->bpf->maps.net_migration), &kind, cpus))
		percpu_sum(cpus, sizeof(sum) / sizeof(__u64), (__u64 *)&sum);
	return sum;
}

static void collect_migrations(const struct net *n, struct metrics *m)
{
	struct family *f =
		metrics_family(m, "nestor_net_migration_bytes_total", METRIC_COUNTER,
			       "Bytes of IP packets of sockets that carry a migration, as policy net.migration says.");

	for (unsigned int kind = 0; kind < MIGRATION_KINDS; kind++) {
		struct net_migrated sum = migrated(n, kind);

		family_u64(f, metrics_labels(m, "kind", kind_names[kind], "direction", "rx", NULL), sum.rx_bytes);
		family_u64(f, metrics_labels(m, "kind", kind_names[kind], "direction", "tx", NULL), sum.tx_bytes);
	}
}

static void net_collect(void *self, struct metrics *m)
{
	struct emit e = { .m = m };
	struct net *n = self;
	struct tally_rows rows;

	bpfobj_collect(n->bpf->obj, "net", n->bpf->maps.net_lost, 0, m);
	collect_migrations(n, m);
	e.bytes = metrics_family(m, "nestor_net_bytes_total", METRIC_COUNTER, "Bytes of IP packets, headers included.");
	e.packets = metrics_family(m, "nestor_net_packets_total", METRIC_COUNTER, "IP packets, as they are on the wire.");
	e.retransmits = metrics_family(m, "nestor_net_retransmits_total", METRIC_COUNTER, "TCP segments sent again.");
	if (!tally_read(n->agent->who, &n->total, &rows))
		tally_for_each_sum(&rows, tally_by_label, NULL, emit_owner, &e);
	tally_free(&rows);
	net_limit_collect(n, m);
}

/* ---- nestorctl net show ---- */

static void show_owner(void *data, const struct tally_row *sum)
{
	const struct net_total *total = total_of(sum);

	json_array_append_new(data,
			      json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "vm", json_text(sum->vm), "container",
					json_text(sum->container), "rx_bytes", (json_int_t)total->rx.bytes, "tx_bytes",
					(json_int_t)total->tx.bytes, "rx_packets", (json_int_t)total->rx.packets, "tx_packets",
					(json_int_t)total->tx.packets, "retransmits", (json_int_t)total->retransmits));
}

static void show_migrations(const struct net *n, json_t *list)
{
	for (unsigned int kind = 0; kind < MIGRATION_KINDS; kind++) {
		struct net_migrated sum = migrated(n, kind);

		if (sum.rx_bytes || sum.tx_bytes)
			json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "migration", kind_names[kind], "rx_bytes",
							      (json_int_t)sum.rx_bytes, "tx_bytes", (json_int_t)sum.tx_bytes));
	}
}

static json_t *net_show(void *self)
{
	json_t *list = json_array();
	struct net *n = self;
	struct tally_rows rows;

	if (!tally_read(n->agent->who, &n->total, &rows))
		tally_for_each_sum(&rows, tally_by_label, NULL, show_owner, list);
	tally_free(&rows);
	show_migrations(n, list);
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

static void on_born(void *data, const struct who_one *one)
{
	struct net *n = data;

	if (!one->vm[0])
		return;
	net_taps_update(n, one);
	find_sockets(n, one->pid);
}

static void on_gone(void *data, const struct who_one *one)
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
		who_unwatch(n->agent->who, &n->watch);
	net_taps_drop(n, NULL);
	if (n->total.live)
		who_remove_tally(n->agent->who, &n->total);
	net_bpf__destroy(n->bpf);
	free(n);
}

static int load(struct net *n)
{
	int err;

	n->bpf = net_bpf__open();
	if (!n->bpf)
		return log_error(-errno, "net: cannot open the BPF object: %m");
	n->bpf->rodata->owner_memory_v1 = n->agent->kernel.memory_v1;
	bpf_program__set_autoattach(n->bpf->progs.net_find, false);
	err = bpfobj_pin(n->bpf->obj, agent_pin_dir(n->agent), &n->agent->counters_reset)
		      ?: who_share(n->agent->who, n->bpf->obj);
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
	int root = kernel_hierarchy(&n->agent->kernel, 0)->mount_fd;
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
	n->total = (struct tally){ .live = n->bpf->maps.net_total, .gone = n->bpf->maps.net_gone };
	who_add_tally(n->agent->who, &n->total);
	err = attach(n);
	if (err)
		return err;
	n->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = n };
	who_watch(n->agent->who, &n->watch);
	return net_limit_start(n);
}

static int net_start(struct agent *a, void **ret_self)
{
	struct net *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return log_error(-ENOMEM, "net: out of memory");
	n->agent = a;
	n->has_tcx = has_tcx;
	err = begin(n);
	if (err) {
		net_stop(n);
		return err;
	}
	*ret_self = n;
	return 0;
}

static int net_apply(void *self, const struct policy *p)
{
	return net_rules_apply(self, p) ?: net_limit_apply(self, p);
}

static bool net_wanted(const struct policy *p)
{
	return p->net.mode != MODE_OFF;
}

const struct room room_net = {
	.name = "net",
	.doc = "bytes, packets, retransmissions and migration traffic per container and VM",
	.wanted = net_wanted,
	.probe = net_probe,
	.start = net_start,
	.apply = net_apply,
	.collect = net_collect,
	.show = net_show,
	.stop = net_stop,
	.off = net_limit_undo,
};
