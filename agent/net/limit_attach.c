// SPDX-License-Identifier: GPL-2.0
/* Where the programs of bpf/net/netlimit.bpf.c are attached: to the cgroups of containers, the taps of VMs, and the root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/net/limit.h"
#include "agent/net/pinned_links.h"
#include "agent/net/tc.h"
#include "agent/lib/util.h"
#include "build/bpf/net/netlimit.skel.h"

#define CGROUP_DEPTH_MAX 16

/* ---- cgroups ---- */

static int open_cgroup(const struct net_limits *l, const char *path)
{
	return openat(kernel_hierarchy(&l->env->kernel, 0)->mount_fd, path[1] ? path + 1 : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int first_process(int dir)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid = 0;
	_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	return f && fscanf(f, "%d", &pid) == 1 ? pid : 0;
}

/* A process of @cgroup or of one below it; 0: there is none. Takes the descriptor. */
static int find_process(int cgroup, int depth)
{
	DIR *d = cgroup < 0 ? NULL : fdopendir(cgroup);
	int pid = d ? first_process(cgroup) : 0;
	struct dirent *entry;

	while (d && !pid && depth && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			pid = find_process(openat(cgroup, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth - 1);
	if (d)
		closedir(d);
	return pid;
}

__u64 net_cgroup_id(const struct net_limits *l, const char *path)
{
	_close_ int fd = open_cgroup(l, path);
	struct stat st;

	return fd < 0 || fstat(fd, &st) ? 0 : st.st_ino;
}

int net_cgroup_process(const struct net_limits *l, const char *path)
{
	return find_process(open_cgroup(l, path), CGROUP_DEPTH_MAX);
}

/* ---- attaching ---- */

static int attach(struct net_limits *l, struct bpf_program *prog, const struct net_place *place, __u32 number)
{
	return net_pins_attach(l->env->pin_dir, prog, place, number);
}

int net_attach_container(struct net_limits *l, const struct net_subject *s)
{
	_close_ int fd = open_cgroup(l, s->one->path);
	const struct net_place out = { .type = BPF_CGROUP_INET_EGRESS, .target = fd, .id = s->cgroup };
	const struct net_place in = { .type = BPF_CGROUP_INET_INGRESS, .target = fd, .id = s->cgroup };
	const struct netlimit_place place = { .slot = s->slot };
	int err = fd < 0 ? -errno : 0;

	if (!err)
		err = attach(l, l->bpf->progs.netlimit_send, &out, s->slot);
	if (!err)
		err = attach(l, l->bpf->progs.netlimit_recv, &in, s->slot);
	return err ?: bpf_map_update_elem(bpf_map__fd(l->bpf->maps.netlimit_groups), &s->cgroup, &place, BPF_EXIST);
}

static int attach_tap(struct net_limits *l, const struct net_subject *s, unsigned int tap)
{
	/* What the VM sends comes in. */
	const struct net_place in = { .type = (enum bpf_attach_type)TCX_INGRESS, .target = (int)tap, .id = tap };
	const struct net_place out = { .type = (enum bpf_attach_type)TCX_EGRESS, .target = (int)tap, .id = tap };
	const struct netlimit_place place = { .slot = s->slot };
	int err = bpf_map_update_elem(bpf_map__fd(l->bpf->maps.netlimit_taps), &tap, &place, BPF_ANY);

	if (!err)
		err = attach(l, l->bpf->progs.netlimit_tap_tx, &in, tap);
	if (!err)
		err = attach(l, l->bpf->progs.netlimit_tap_rx, &out, tap);
	return err;
}

int net_attach_vm(struct net_limits *l, const struct net_subject *s)
{
	int err = s->one->taps && *s->one->taps ? 0 : -ENODEV;

	for (const unsigned int *tap = s->one->taps; !err && tap && *tap; tap++)
		err = attach_tap(l, s, *tap);
	return err;
}

int net_attach_migration(struct net_limits *l)
{
	const int root = kernel_hierarchy(&l->env->kernel, 0)->mount_fd;
	const struct net_place out = { .type = BPF_CGROUP_INET_EGRESS, .target = root, .id = net_cgroup_id(l, "/") };
	const struct net_place in = { .type = BPF_CGROUP_INET_INGRESS, .target = root, .id = out.id };
	int err = attach(l, l->bpf->progs.netlimit_mig_tx, &out, 0);

	return err ?: attach(l, l->bpf->progs.netlimit_mig_rx, &in, 0);
}
