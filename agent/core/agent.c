// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/agent.h"
#include "agent/base/bpfobj.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/base/bpf_stats.h"
#include "agent/lib/util.h"
#include "agent/policy/agent.h"

/* ---- rooms ---- */

static void room_down(struct room_state *r, const char *reason)
{
	r->up = false;
	r->self = NULL;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void room_stop(struct room_state *r, const char *reason)
{
	if (r->up)
		r->room->stop(r->self);
	room_down(r, reason);
}

/* At start, while the kernel's BTF is at hand, for rooms that are off too: they may be turned on. */
static void room_probe(struct agent *a, struct room_state *r)
{
	r->impossible = r->room->probe(&a->env.kernel) != 0;
	if (r->impossible)
		room_down(r, log_last_error());
}

static void room_start(struct agent *a, struct room_state *r)
{
	if (r->room->start(&a->env, &r->self)) {
		room_down(r, log_last_error());
		return;
	}
	r->up = true;
	r->reason[0] = '\0';
	log_info("%s: up", r->room->name);
}

static void room_apply(struct agent *a, struct room_state *r, const struct policy *policy)
{
	if (r->impossible)
		return;
	if (policy_mode(policy, r->room->policy) == MODE_OFF) {
		if (r->up)
			log_info("%s: off", r->room->name);
		room_stop(r, "off by policy");
		if (r->room->off)
			r->room->off(&a->env);
		return;
	}
	if (!r->up)
		room_start(a, r);
	if (r->up && r->room->apply(r->self, policy))
		room_stop(r, log_last_error());
}

void agent_apply(struct agent *a, struct policy *policy)
{
	const struct agent_policy *own = policy_section(policy, &policy_agent);

	policy_free(a->env.policy);
	a->env.policy = policy;
	if (!a->opts.log_level_given)
		log_set_level(own->log_level);
	if (a->self_stats)
		bpf_stats_apply(a->self_stats, own->self_stats);
	who_vouch(a->env.who);
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		room_apply(a, &a->rooms[i], policy);
	who_apply(a->env.who); /* then the rooms that count are known to it */
}

bool agent_healthy(const struct agent *a)
{
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		if (!a->rooms[i].up && policy_mode(a->env.policy, a->rooms[i].room->policy) != MODE_OFF)
			return false;
	return true;
}

int agent_reset(struct agent *a, unsigned int *ret_removed)
{
	int err;

	for (unsigned int i = 0; i < a->nr_rooms; i++)
		room_stop(&a->rooms[i], "resetting");
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		if (a->rooms[i].room->off && !a->rooms[i].impossible)
			a->rooms[i].room->off(&a->env);
	who_stop(a->env.who);
	a->env.who = NULL;
	err = bpfobj_remove_pins(a->opts.bpffs, ret_removed);
	if (who_start(&a->env, &a->env.who)) {
		a->env.loop.stop = true; /* nothing works without; a supervisor may start us again */
		return -EIO;
	}
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		room_apply(a, &a->rooms[i], a->env.policy);
	log_info("counters reset, %u pins removed", *ret_removed);
	return err;
}

/* ---- life ---- */

/* Who could write to it could answer nestorctl in our place. */
static int lock_run_dir(struct agent *a)
{
	const char *dir = a->opts.run_dir;
	struct stat st;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return log_error(-errno, "cannot make %s: %m", dir);
	a->env.run_dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (a->env.run_dir_fd < 0 || fstat(a->env.run_dir_fd, &st))
		return log_error(-errno, "cannot open %s: %m", dir);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return log_error(-EPERM, "%s belongs to uid %u, mode %04o; it must be ours, and nobody else may write to it",
				 dir, st.st_uid, st.st_mode & 07777);
	if (flock(a->env.run_dir_fd, LOCK_EX | LOCK_NB))
		return log_error(-EBUSY, "%s is in use by another nestord; give this one its own --run-dir", dir);
	return 0;
}

int agent_open(struct agent *a, const struct options *opts, const struct room *const *rooms, unsigned int nr)
{
	int err;

	*a = (struct agent){ .opts = *opts, .nr_rooms = nr, .bpffs_fd = -1, .started_ns = now_ns() };
	a->env.run_dir = opts->run_dir;
	a->env.run_dir_fd = -1;
	a->env.pin_dir = opts->check ? NULL : opts->bpffs;
	a->rooms = calloc(nr, sizeof(*a->rooms));
	if (loop_open(&a->env.loop) || !a->rooms)
		return log_error(-ENOMEM, "cannot begin: %m");
	err = kernel_probe(&a->env.kernel);
	for (unsigned int i = 0; !err && i < a->nr_rooms; i++) {
		a->rooms[i].room = rooms[i];
		room_probe(a, &a->rooms[i]);
	}
	kernel_drop_btf(&a->env.kernel);
	if (!err && !opts->check)
		err = lock_run_dir(a);
	if (!err && !opts->check)
		err = bpfobj_open_dir(opts->bpffs, &a->bpffs_fd);
	if (!err)
		err = kernel_keep_needed();
	if (!err)
		err = who_start(&a->env, &a->env.who);
	if (!err && !opts->check)
		err = bpf_stats_start(&a->env.loop, &a->self_stats);
	return err;
}

void agent_close(struct agent *a)
{
	for (unsigned int i = 0; a->rooms && i < a->nr_rooms; i++)
		if (a->rooms[i].up)
			room_stop(&a->rooms[i], "stopping");
	who_stop(a->env.who);
	bpf_stats_stop(a->self_stats);
	metrics_free(a->metrics);
	policy_free(a->env.policy);
	kernel_close(&a->env.kernel);
	free(a->rooms);
	loop_close(&a->env.loop);
	close_p(&a->env.run_dir_fd);
	close_p(&a->bpffs_fd);
}
