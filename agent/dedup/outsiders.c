// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "agent/dedup/mergeable.h"
#include "agent/dedup/outsiders.h"
#include "agent/dedup/pages.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define LOOKS 5 /* cgroups of the domain may be made between the reading of its tree and the look */

struct outsiders {
	const struct dedup_round *r;
	struct mergeable *mergeable;
	struct {
		__u64 *all;
		size_t n, size;
	} cgroups; /* ids of the domain's */
	struct {
		struct dedup_mergeable *all;
		size_t n;
	} found; /* by the last look */
};

/* A directory's inode has the number of its cgroup. */
static int add_cgroup(const char *dir, uint16_t owner, void *data)
{
	struct outsiders *o = data;
	struct stat st;

	(void)owner;
	if (stat(dir, &st))
		return -errno;
	if (o->cgroups.n == o->cgroups.size) {
		size_t size = o->cgroups.size ? o->cgroups.size * 2 : 64;
		__u64 *all = reallocarray(o->cgroups.all, size, sizeof(*all));

		if (!all)
			return log_error(-ENOMEM, "dedup: no memory");
		o->cgroups.all = all;
		o->cgroups.size = size;
	}
	o->cgroups.all[o->cgroups.n++] = st.st_ino;
	return 0;
}

static bool is_in_cgroup(const struct outsiders *o, __u64 id)
{
	for (size_t i = 0; i < o->cgroups.n; i++)
		if (o->cgroups.all[i] == id)
			return true;
	return false;
}

static bool is_of_domain(const struct outsiders *o, const struct dedup_mergeable *one)
{
	return dedup_round_names(o->r, (pid_t)one->pid) ||
	       (is_in_cgroup(o, one->cgroup) && !dedup_round_excepts(o->r, (pid_t)one->pid));
}

static int find(struct outsiders *o)
{
	size_t n = 0, others = 0;
	int err;

	free(o->found.all);
	o->found.all = NULL;
	o->cgroups.n = 0;
	err = dedup_round_walk(o->r, add_cgroup, o) ?: mergeable_look(o->mergeable, &o->found.all, &n);
	for (size_t i = 0; i < n; i++)
		if (!is_of_domain(o, &o->found.all[i]))
			o->found.all[others++] = o->found.all[i];
	o->found.n = others;
	return err;
}

int outsiders_look(struct outsiders *o, bool *ret_found)
{
	int err = 0;

	*ret_found = true;
	for (int i = 0; i < LOOKS && !err && *ret_found; i++) {
		err = find(o);
		*ret_found = o->found.n;
	}
	return err;
}

int outsiders_refuse(struct outsiders *o)
{
	const struct dedup_mergeable *first;
	bool found;
	int err = outsiders_look(o, &found);

	if (err || !found)
		return err;
	first = &o->found.all[0];
	return log_error(-EPERM,
			 "dedup: nothing is merged: process %u (%.*s), which is not of the domain, has mergeable memory",
			 first->pid, (int)sizeof(first->name), first->name);
}

bool outsiders_are_merged(const struct outsiders *o)
{
	for (size_t i = 0; i < o->found.n; i++)
		if (o->found.all[i].merged_pages)
			return true;
	return false;
}

static bool has_mergeable(const struct dedup_mergeable *one)
{
	char path[64], line[4352];
	_fclose_ FILE *f = NULL;
	bool found = false;

	dedup_reading_begin((pid_t)one->pid);
	snprintf(path, sizeof(path), "/proc/%u/smaps", one->tid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "VmFlags:", 8) && strstr(line, " mg");
	dedup_reading_end();
	return found || !f;
}

bool outsiders_have_mergeable(const struct outsiders *o)
{
	for (size_t i = 0; i < o->found.n; i++)
		if (has_mergeable(&o->found.all[i]))
			return true;
	return false;
}

/* Containers' cgroups are all in one hierarchy. */
static bool is_v1(const struct dedup_round *r)
{
	struct statfs st;

	return r->nr_cgroups && !statfs(r->cgroups[0].dir, &st) && st.f_type == CGROUP_SUPER_MAGIC;
}

int outsiders_open(const struct dedup_round *r, struct outsiders **ret)
{
	struct outsiders *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return log_error(-ENOMEM, "dedup: no memory");
	o->r = r;
	err = mergeable_open(is_v1(r), &o->mergeable);
	if (err)
		outsiders_close(o);
	else
		*ret = o;
	return err;
}

void outsiders_close(struct outsiders *o)
{
	if (!o)
		return;
	mergeable_close(o->mergeable);
	free(o->cgroups.all);
	free(o->found.all);
	free(o);
}
