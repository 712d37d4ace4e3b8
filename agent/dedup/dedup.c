// SPDX-License-Identifier: GPL-2.0
/*
 * dedup: which pages of the containers and VMs of a trust domain have the same content, and, for one domain, has KSM merge
 * these. Rounds are done by a process of their own (agent/dedup/helper.h), one at a time; here is when, and of whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/env.h"
#include "agent/base/history.h"
#include "agent/who/who.h"
#include "agent/dedup/policy.h"
#include "agent/room.h"
#include "agent/dedup/groups.h"
#include "agent/dedup/helper.h"
#include "agent/dedup/domains.h"
#include "agent/lib/json_text.h"
#include "agent/dedup/ksm.h"
#include "agent/lib/buf.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/who/workload_list.h"
#include "agent/lib/util.h"

#define NO_DOMAIN "none"
#define END_TIMEOUT_MS 5000 /* for the helper to end by itself, after the step of an injection that it is in */
#define RESULT_MAX (16U << 20) /* bytes that a helper may say: more is cut, which fails the round */
#define PUT_BACK_TIMEOUT_MS 1000 /* to wait for one that puts the settings of KSM back */
#define SOON_NS 2000000000ULL /* after policy has changed */

struct dedup {
	struct env *env;
	struct workload_list members; /* all that live, also those of no domain */
	struct dedup_domains domains; /* in the order of policy */
	struct source timer; /* the next pass over all domains */
	struct dedup_domain *now; /* whose round it is; NULL: nobody's */
	pid_t helper; /* 0: none */
	struct source output; /* its */
	struct buf result;
};

/* ---- whose round it is ---- */

static const struct dedup_policy *policy_of(const struct dedup *d)
{
	return policy_section(d->env->policy, &policy_dedup);
}

static const struct dedup_target *target_of(const struct dedup_policy *p, const struct workload *one)
{
	for (unsigned int i = 0; i < p->targets_count; i++)
		if (who_matches(one, p->targets[i].container, p->targets[i].vm))
			return &p->targets[i];
	return NULL;
}

/* "/sys/fs/cgroup/a/b"; to be freed */
static char *directory_of(const struct dedup *d, const struct workload *one)
{
	char *path;

	return asprintf(&path, "%s%s", kernel_task_hierarchy(&d->env->kernel)->mount, one->path) < 0 ? NULL : path;
}

static json_t *owner_json(const struct dedup *d, const struct workload *one)
{
	_free_ char *path = directory_of(d, one);

	if (one->pid)
		return json_pack("{s:o, s:o, s:s, s:i}", "name", json_text(one->vm), "vm", json_text(one->vm), "container", "",
				 "pid", one->pid);
	return json_pack("{s:o, s:s, s:o, s:o}", "name", json_text(one->container), "vm", "", "container",
			 json_text(one->container), "path", json_text(path ?: ""));
}

/* Whoever is one himself, a VM whose process is in a container's cgroup, or a container below another's. */
static json_t *excepted(const struct dedup *d)
{
	json_t *all = json_object();
	const struct workload_entry *m;
	char pid[16];

	LIST_FOREACH (m, &d->members.list, entry) {
		_free_ char *path = directory_of(d, m->one);

		snprintf(pid, sizeof(pid), "%d", m->one->pid);
		json_object_set_new(all, m->one->pid ? pid : path ?: "", json_true());
	}
	return all;
}

static json_t *owners_of(const struct dedup *d, const char *domain)
{
	const struct dedup_policy *p = policy_of(d);
	json_t *all = json_array();
	const struct workload_entry *m;

	LIST_FOREACH (m, &d->members.list, entry) {
		const struct dedup_target *t = target_of(p, m->one);

		if (!t || strcmp(t->domain, domain) != 0)
			continue;
		if (json_array_size(all) == DEDUP_OWNERS_MAX) {
			log_warning("dedup: domain %s: more than %d cannot be compared, the others are left out", domain,
				    DEDUP_OWNERS_MAX);
			break;
		}
		json_array_append_new(all, owner_json(d, m->one));
	}
	return all;
}

static bool is_merged(const struct dedup_policy *p, const char *domain)
{
	return p->mode == MODE_ENFORCE && strcmp(p->merge, NO_DOMAIN) != 0 && !strcmp(p->merge, domain);
}

static json_t *job_of(const struct dedup *d, const struct dedup_domain *domain)
{
	const struct dedup_policy *p = policy_of(d);

	return json_pack("{s:O, s:o, s:i, s:s, s:b, s:b, s:O}", "owners", domain->owners, "except", excepted(d), "percent",
			 (int)p->cpu, "device", dedup_device_names[p->device], "merge", is_merged(p, domain->name),
			 "leave_huge", p->huge == HUGE_LEAVE, "stuck", domain->stuck);
}

/* ---- the helper ---- */

/* A process that has not ended although it should have; 0: none. The next one would wait for the same. */
static pid_t left;

static bool is_held_up(void)
{
	if (left && child_wait(left, 0, NULL) == -ETIMEDOUT)
		return true;
	left = 0;
	return false;
}

static int exec_helper(const struct env *env, const json_t *job, int output, pid_t *ret_pid)
{
	_close_ int file = memfd_create("dedup-job", MFD_CLOEXEC);
	char home[PATH_MAX + 8]; /* what drivers of devices keep for the next time they keep there */
	const char *const argv[] = { DEDUP_NAME, env->run_dir, NULL };
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home,
				     getenv("JOURNAL_STREAM") ? "JOURNAL_STREAM=1" : NULL, NULL };
	const int fds[] = { file, output, STDERR_FILENO };

	if (file < 0 || json_dumpfd(job, file, 0) || lseek(file, 0, SEEK_SET))
		return -errno;
	snprintf(home, sizeof(home), "HOME=%s", env->run_dir);
	return child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, ret_pid, NULL);
}

/*
 * What a helper has left that was killed, or an earlier agent. Not by ourselves: to write to KSM's files waits for ksmd, and
 * that for processes. What cannot be put back now is remembered, and tried again before each round.
 */
static void put_back(const struct env *env)
{
	json_t *job;
	pid_t pid;
	int status = 0, err;

	if (!env->pin_dir || faccessat(env->run_dir_fd, KSM_FILE, F_OK, 0) || is_held_up())
		return;
	job = json_object();
	err = exec_helper(env, job, CHILD_NULL, &pid) ?: child_wait(pid, PUT_BACK_TIMEOUT_MS, &status);
	json_decref(job);
	if (err == -ETIMEDOUT)
		left = pid; /* and goes on */
	if (err || status)
		log_error(err, "dedup: the settings of KSM are not put back yet%s%s", err ? ": " : "",
			  err ? strerror(-err) : "");
}

static void end_helper(struct dedup *d)
{
	loop_remove(&d->env->loop, &d->output);
	if (child_end(d->helper, END_TIMEOUT_MS, NULL) == -ETIMEDOUT)
		left = d->helper;
	d->helper = 0;
	put_back(d->env);
}

static void stop_helper(struct dedup *d)
{
	if (!d->helper)
		return;
	kill(d->helper, SIGTERM);
	end_helper(d);
	d->now = NULL;
}

static void on_output(struct source *s);

static int start_helper(struct dedup *d, const json_t *job)
{
	_close_ int write_end = -1;
	int pipes[2], err;

	if (pipe2(pipes, O_CLOEXEC))
		return log_error(-errno, "dedup: cannot begin a round: %m");
	write_end = pipes[1];
	err = exec_helper(d->env, job, write_end, &d->helper);
	if (err) {
		close(pipes[0]);
		return log_error(err, "dedup: cannot begin a round: %s", strerror(-err));
	}
	buf_clear(&d->result);
	d->output = (struct source){ .fd = pipes[0], .ready = on_output, .data = d };
	if (loop_add(&d->env->loop, &d->output)) {
		stop_helper(d);
		return -ENOMEM;
	}
	loop_timer_rearm(d->timer.fd, DEDUP_ROUND_NS(policy_of(d)->cpu), 0);
	return 0;
}

/* Kernels without PSI tell nothing: then it is no reason to wait. */
static bool is_pressed(const struct dedup_policy *p)
{
	char text[256];
	double some = 0;

	if (util_read_file_at(AT_FDCWD, "/proc/pressure/cpu", text, sizeof(text)) > 0)
		sscanf(text, "some avg10=%lf", &some);
	return some > p->max_pressure;
}

/* The next domain that has anybody; when all have had their round, the timer goes on. */
static void begin_next(struct dedup *d)
{
	const struct dedup_policy *p = policy_of(d);
	struct dedup_domain *next = d->now ? TAILQ_NEXT(d->now, entry) : TAILQ_FIRST(&d->domains);

	for (d->now = NULL; next && !d->now; next = TAILQ_NEXT(next, entry)) {
		json_t *job;

		json_decref(next->owners);
		next->owners = owners_of(d, next->name);
		if (!json_array_size(next->owners))
			continue;
		if (is_held_up()) {
			dedup_fail(next, "a process of an earlier round waits in the kernel, for ksmd or for a process");
			continue;
		}
		if (is_pressed(p)) {
			next->rounds[DEDUP_ROUND_PRESSED]++;
			continue;
		}
		job = job_of(d, next);
		if (start_helper(d, job))
			dedup_fail(next, log_last_error());
		else
			d->now = next;
		json_decref(job);
	}
	if (!d->now)
		loop_timer_rearm(d->timer.fd, p->interval, 0);
}

/* What it says, until it has ended. */
static void on_output(struct source *s)
{
	struct dedup *d = s->data;
	char text[65536];
	ssize_t n = read(s->fd, text, sizeof(text));

	if (n > 0) {
		if (d->result.len < RESULT_MAX)
			buf_add(&d->result, text, (size_t)n);
		return;
	}
	end_helper(d);
	if (d->now) /* else policy has changed meanwhile */
		dedup_take(d->now, d->result.text ? d->result.text : "", d->result.len);
	begin_next(d);
}

static void on_timer(struct source *s)
{
	struct dedup *d = s->data;

	loop_timer_drain(s->fd);
	if (d->helper) {
		struct dedup_domain *late = d->now;

		log_warning("dedup: the round of %s is given up: it has not ended in the time for one",
			    late ? late->name : "a domain");
		if (late)
			dedup_fail(late, "it has not ended in the time for one");
		stop_helper(d);
		d->now = late;
	}
	put_back(d->env); /* what could not be before */
	begin_next(d);
}

/* ---- life ---- */

static int dedup_probe(const struct kernel *k)
{
	(void)k;
	return 0;
}

/* Domains that policy has, in its order; what is known of those that it had before stays. */
static int dedup_apply(void *self, const struct policy *policy)
{
	struct dedup *d = self;
	const struct dedup_policy *p = policy_section(policy, &policy_dedup);
	int err = dedup_domains_keep(&d->domains, p);

	if (err)
		return log_error(err, "dedup: no memory");
	if (p->mode == MODE_ENFORCE && !dedup_domains_find(&d->domains, p->merge))
		log_warning("dedup: nothing is merged: no target has the domain that merge names, %s", p->merge);
	stop_helper(d);
	d->now = NULL;
	loop_timer_rearm(d->timer.fd, SOON_NS, 0);
	return 0;
}

static void dedup_stop(void *self)
{
	struct dedup *d = self;

	stop_helper(d);
	workload_list_close(&d->members);
	dedup_domains_free(&d->domains);
	loop_remove(&d->env->loop, &d->timer);
	buf_free(&d->result);
	free(d);
}

static int dedup_start(struct env *env, void **ret)
{
	struct dedup *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return log_error(-ENOMEM, "dedup: out of memory");
	d->env = env;
	TAILQ_INIT(&d->domains);
	d->timer = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_timer, .data = d };
	err = d->timer.fd < 0 ? log_error(d->timer.fd, "dedup: cannot make a timer") : loop_add(&env->loop, &d->timer);
	if (err) {
		dedup_stop(d);
		return err;
	}
	put_back(env);
	workload_list_open(&d->members, env->who, NULL, NULL);
	*ret = d;
	return 0;
}

static void dedup_off(struct env *env)
{
	put_back(env);
}

static void dedup_collect(void *self, struct metrics *m)
{
	const struct dedup *d = self;

	dedup_domains_collect(&d->domains, m);
}

static const struct history_quantity dedup_quantities[] = {
	{ "dedup_potential", "bytes", "that merging would free", false },
	{ "dedup_saved", "bytes", "that KSM has merged", false },
	{},
};

static void dedup_sample(void *self, struct history *h)
{
	const struct dedup *d = self;

	dedup_domains_sample(&d->domains, h);
}

static json_t *dedup_show(void *self)
{
	const struct dedup *d = self;

	return dedup_domains_show(&d->domains);
}

const struct room room_dedup = {
	.name = "dedup",
	.doc = "memory that containers and VMs of a trust domain have twice, and its merging by KSM",
	.policy = &policy_dedup,
	.probe = dedup_probe,
	.start = dedup_start,
	.apply = dedup_apply,
	.collect = dedup_collect,
	.sample = dedup_sample,
	.quantities = dedup_quantities,
	.show = dedup_show,
	.stop = dedup_stop,
	.off = dedup_off,
	.processes = (const struct room_process[]){ { DEDUP_NAME, dedup_main }, {} },
};
