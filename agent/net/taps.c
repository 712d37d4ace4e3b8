// SPDX-License-Identifier: GPL-2.0
/* The taps of VMs: what a VM sends comes in there, what it gets goes out. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/lib/log.h"
#include "agent/net/net.h"
#include "agent/net/tc.h"
#include "build/bpf/net/net.skel.h"

struct tap {
	const struct workload *vm;
	unsigned int ifindex;
	struct tc in, out;
	LIST_ENTRY(tap) entry;
};

static bool is_known(const struct net *n, unsigned int ifindex)
{
	struct tap *tap;

	LIST_FOREACH (tap, &n->taps, entry)
		if (tap->ifindex == ifindex)
			return true;
	return false;
}

static int attach(struct net *n, struct tap *tap)
{
	int err;

	err = tc_attach(&tap->in, tap->ifindex, true, bpf_program__fd(n->bpf->progs.net_tap_in), n->has_tcx);
	if (err)
		return err;
	err = tc_attach(&tap->out, tap->ifindex, false, bpf_program__fd(n->bpf->progs.net_tap_out), n->has_tcx);
	if (err)
		tc_detach(&tap->in);
	return err;
}

static void drop(struct net *n, struct tap *tap)
{
	tc_detach(&tap->out);
	tc_detach(&tap->in);
	bpf_map_delete_elem(bpf_map__fd(n->bpf->maps.net_taps), &tap->ifindex);
	LIST_REMOVE(tap, entry);
	free(tap);
}

/* A tun device has flags in sysfs; what else VMs have opened is a macvtap. */
static bool is_macvtap(unsigned int ifindex)
{
	char name[IF_NAMESIZE], path[64];

	if (!if_indextoname(ifindex, name))
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", name);
	return access(path, F_OK) != 0;
}

/* As whom BPF counts what @vm does: the one that who has put down for its process. */
static int tell_owner(struct net *n, const struct workload *vm, unsigned int ifindex)
{
	struct net_tap tap = { .owner.hierarchy = OWNER_VM, .macvtap = is_macvtap(ifindex) };
	__u32 pid = (__u32)vm->pid;

	return bpf_map_lookup_elem(bpf_map__fd(n->bpf->maps.who_vms), &pid, &tap.owner.id)
		       ?: bpf_map_update_elem(bpf_map__fd(n->bpf->maps.net_taps), &ifindex, &tap, BPF_ANY);
}

static void add(struct net *n, const struct workload *vm, unsigned int ifindex)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err = -ENOMEM;

	if (tap) {
		*tap = (struct tap){ .vm = vm, .ifindex = ifindex };
		err = tell_owner(n, vm, ifindex) ?: attach(n, tap);
	}
	if (err) {
		if (err != -ENODEV) /* it has gone meanwhile */
			log_warning("net: cannot watch interface %u of VM %s: %s", ifindex, vm->vm, strerror(-err));
		bpf_map_delete_elem(bpf_map__fd(n->bpf->maps.net_taps), &ifindex);
		free(tap);
		return;
	}
	LIST_INSERT_HEAD(&n->taps, tap, entry);
}

/* Those of @vm (NULL: of anybody) that it no longer has. */
static void drop_others(struct net *n, const struct workload *vm, bool keep)
{
	struct tap *tap = LIST_FIRST(&n->taps), *next;

	for (; tap; tap = next) {
		next = LIST_NEXT(tap, entry);
		if ((!vm || tap->vm == vm) && !(keep && who_has_tap(vm, tap->ifindex)))
			drop(n, tap);
	}
}

void net_taps_update(struct net *n, const struct workload *vm)
{
	drop_others(n, vm, true);
	for (const unsigned int *tap = vm->taps; tap && *tap; tap++)
		if (!is_known(n, *tap))
			add(n, vm, *tap);
}

void net_taps_drop(struct net *n, const struct workload *vm)
{
	drop_others(n, vm, false);
}
