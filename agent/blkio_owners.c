// SPDX-License-Identifier: GPL-2.0
/*
 * The owners of blkio's counters: cgroups, to BPF an id. Here they get names (paths) while they live; when one has
 * been gone for a while, its counts go to a living cgroup of the same name, or to all others, and make room.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/blkio.h"
#include "agent/log.h"
#include "agent/util.h"
#include "build/bpf/blkio.skel.h"

#define OWNERS_CHECK_NS (10ULL * 1000000000)

static const struct blkio_owner REST_OWNER = { .cgroup = BLKIO_CGROUP_REST };

const struct blkio_owner_info *blkio_owners_find(const struct table *owners, __u64 cgroup, __u32 hierarchy)
{
	for (size_t i = 0; i < owners->nr; i++) {
		const struct blkio_owner *o = table_key(owners, i);

		if (o->cgroup == cgroup && o->hierarchy == hierarchy)
			return table_value(owners, i);
	}
	return NULL;
}

/* A living owner of the same name, such as the same service started again. */
static const struct blkio_owner *find_heir(const struct table *owners, const char *path)
{
	for (size_t i = 0; i < owners->nr; i++) {
		const struct blkio_owner_info *info = table_value(owners, i);

		if (path[0] && !info->dead_since_ns && !strcmp(info->path, path))
			return table_key(owners, i);
	}
	return &REST_OWNER;
}

void blkio_total_add(struct blkio_total *to, const struct blkio_total *from)
{
	for (unsigned int i = 0; i < HIST_SLOTS; i++)
		to->latency.slots[i] += from->latency.slots[i];
	to->latency.sum_ns += from->latency.sum_ns;
	to->bytes += from->bytes;
	to->errors += from->errors;
}

/* Moves @owner's counts in @from (blkio_total or blkio_gone) to @heir in blkio_gone. */
static void move_counts(struct blkio *b, struct bpf_map *from, const struct blkio_owner *owner, const struct blkio_owner *heir)
{
	int gone = bpf_map__fd(b->bpf->maps.blkio_gone);
	struct table t;

	if (table_read(from, &t))
		return;
	for (size_t i = 0; i < t.nr; i++) {
		struct blkio_key key = *(const struct blkio_key *)table_key(&t, i);
		struct blkio_total sum = {};

		if (key.cgroup != owner->cgroup || key.hierarchy != owner->hierarchy)
			continue;
		key.cgroup = heir->cgroup;
		key.hierarchy = heir->hierarchy;
		bpf_map_lookup_elem(gone, &key, &sum);
		blkio_total_add(&sum, table_value(&t, i));
		/* Added first, removed then: to be killed in between counts twice, which is better than to count backwards. */
		if (!bpf_map_update_elem(gone, &key, &sum, BPF_ANY))
			bpf_map_delete_elem(bpf_map__fd(from), table_key(&t, i));
	}
	table_free(&t);
}

static void retire(struct blkio *b, const struct table *owners, const struct blkio_owner *owner,
		   const struct blkio_owner_info *info)
{
	const struct blkio_owner *heir = find_heir(owners, info->path);

	move_counts(b, b->bpf->maps.blkio_total, owner, heir);
	move_counts(b, b->bpf->maps.blkio_gone, owner, heir);
	if (!bpf_map_delete_elem(bpf_map__fd(b->bpf->maps.blkio_owners), owner))
		__atomic_fetch_sub(&b->bpf->bss->nr_owners, 1, __ATOMIC_RELAXED);
}

/* Names an owner, or notes that it is dead. */
static void look_at(struct blkio *b, const struct blkio_owner *owner, struct blkio_owner_info *info)
{
	struct blkio_owner_info now = *info;
	int err;

	err = kernel_cgroup_path(&b->agent->kernel, owner->hierarchy, owner->cgroup, now.path, sizeof(now.path));
	if (err == -ENOTCONN) {
		snprintf(now.path, sizeof(now.path), "cgroup:%u:%llu", owner->hierarchy, owner->cgroup);
		err = 0;
	}
	now.dead_since_ns = 0;
	if (err)
		now.dead_since_ns = info->dead_since_ns ? info->dead_since_ns : now_ns();
	if (!memcmp(&now, info, sizeof(now)))
		return;
	*info = now;
	bpf_map_update_elem(bpf_map__fd(b->bpf->maps.blkio_owners), owner, &now, BPF_EXIST);
}

/* An owner that died before it got a name is worth nothing; others stay for a while, unless the room is needed. */
static bool is_due(const struct blkio *b, const struct blkio_owner_info *info)
{
	if (!info->dead_since_ns)
		return false;
	if (!info->path[0] || b->bpf->bss->nr_owners >= b->bpf->data->max_owners)
		return true;
	return now_ns() - info->dead_since_ns >= b->linger_ns;
}

void blkio_owners_check(struct blkio *b)
{
	struct table t;

	if (table_read(b->bpf->maps.blkio_owners, &t))
		return;
	for (size_t i = 0; i < t.nr; i++)
		look_at(b, table_key(&t, i), (struct blkio_owner_info *)(t.values + i * t.value_size));
	for (size_t i = 0; i < t.nr; i++)
		if (is_due(b, table_value(&t, i)))
			retire(b, &t, table_key(&t, i), table_value(&t, i));
	table_free(&t);
}

static int on_new_owner(void *data, void *record, size_t size)
{
	struct blkio *b = data;
	const struct blkio_owner *owner = record;
	struct blkio_owner_info info;

	if (size >= sizeof(*owner) && !bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.blkio_owners), owner, &info))
		look_at(b, owner, &info);
	return 0;
}

static void on_ring(struct source *s)
{
	struct blkio *b = s->data;

	ring_buffer__consume(b->ring);
	if (b->bpf->bss->nr_owners >= b->bpf->data->max_owners)
		blkio_owners_check(b);
}

static void on_check(struct source *s)
{
	timer_drain(s->fd);
	blkio_owners_check(s->data);
}

/* Pinned owners of an earlier run count too. */
static void count_owners(struct blkio *b)
{
	struct table t;

	if (table_read(b->bpf->maps.blkio_owners, &t))
		return;
	b->bpf->bss->nr_owners = (__u32)t.nr;
	table_free(&t);
}

int blkio_owners_start(struct blkio *b)
{
	int fd;

	count_owners(b);
	b->ring = ring_buffer__new(bpf_map__fd(b->bpf->maps.blkio_new), on_new_owner, b, NULL);
	if (!b->ring)
		return log_error(-errno, "blkio: ring buffer: %m");
	fd = dup(ring_buffer__epoll_fd(b->ring)); /* a source closes its own */
	b->new_owners = (struct source){ .fd = fd, .ready = on_ring, .data = b };
	b->check = (struct source){ .fd = timer_open(OWNERS_CHECK_NS, OWNERS_CHECK_NS), .ready = on_check, .data = b };
	if (loop_add(&b->agent->loop, &b->new_owners))
		return -EIO;
	return loop_add(&b->agent->loop, &b->check);
}

void blkio_owners_stop(struct blkio *b)
{
	ring_buffer__free(b->ring);
	if (b->new_owners.fd >= 0)
		loop_remove(&b->agent->loop, &b->new_owners);
	if (b->check.fd >= 0)
		loop_remove(&b->agent->loop, &b->check);
}
