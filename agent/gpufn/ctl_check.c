// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/gpufn/ctl_verbs.h"
#include "agent/gpufn/profiles.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "gpu/fn/check.h"
#include "gpu/fn/profile.h"
#include "gpu/fn/library.h"

/* ---- the process that is thrown away ---- */

/* Of either, what comes back through the pipe. */
struct outcome {
	union {
		struct fn_checked checked;
		struct fn_profile profile;
	};
	char failed[FN_WHY_MAX + 64];
};

typedef void (*work_fn)(struct gpu *g, const struct gpu_info *info, const struct function *f, struct outcome *ret);

static void check(struct gpu *g, const struct gpu_info *info, const struct function *f, struct outcome *ret)
{
	fn_check(g, info, f, &ret->checked);
	snprintf(ret->failed, sizeof(ret->failed), "%s", ret->checked.failed);
}

static void profile(struct gpu *g, const struct gpu_info *info, const struct function *f, struct outcome *ret)
{
	fn_profile_measure(g, info, f, &ret->profile);
	snprintf(ret->failed, sizeof(ret->failed), "%s", ret->profile.failed);
}

/* The device is not closed: the process ends, and what the function has done to the driver does not matter. */
static _Noreturn void work_here(int to, work_fn work, const struct gpu_info *info, const struct function *f)
{
	struct outcome result = { 0 };
	char why[192];
	struct gpu *g;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	g = gpu_open(info, why);
	if (g)
		work(g, info, f, &result);
	else
		snprintf(result.failed, sizeof(result.failed), "%s", why);
	_exit(write(to, &result, sizeof(result)) == sizeof(result) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the one that waits for it ---- */

static void reap(pid_t pid, bool in_time, unsigned int seconds, struct outcome *ret)
{
	int status = 0;

	kill(pid, SIGKILL);
	child_wait(pid, -1, &status);
	if (!in_time)
		snprintf(ret->failed, sizeof(ret->failed), "does not end within %u s", seconds);
	else if (WIFSIGNALED(status))
		snprintf(ret->failed, sizeof(ret->failed), "the process that ran it died of signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(ret->failed, sizeof(ret->failed), "the process that ran it ended without a result");
}

static void work_apart(work_fn work, const struct gpu_info *info, const struct function *f, unsigned int seconds,
		       struct outcome *ret)
{
	struct pollfd wait = { .events = POLLIN };
	int ends[2];
	pid_t pid;

	*ret = (struct outcome){ 0 };
	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) || (pid = child_fork(SIGKILL)) < 0) {
		snprintf(ret->failed, sizeof(ret->failed), "%s", strerror(errno));
		return;
	}
	if (!pid)
		work_here(ends[1], work, info, f);
	close(ends[1]);
	wait.fd = ends[0];
	if (poll(&wait, 1, (int)seconds * 1000) != 1)
		reap(pid, false, seconds, ret);
	else if (read(ends[0], ret, sizeof(*ret)) != sizeof(*ret))
		reap(pid, true, seconds, ret);
	else
		child_wait(pid, -1, NULL);
	close(ends[0]);
}

/* ---- all functions on all devices ---- */

static void complain(const char *why)
{
	log_error(0, "%s", why);
}

static json_t *check_json(const struct gpu_info *info, const struct function *f, const struct outcome *o)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "function", f->name, "device", info->name, "by",
			 info->backend, "calls", (int)o->checked.calls, "cuts", (int)o->checked.cuts, "worst_error",
			 o->checked.worst, "tolerance", f->tolerance, "failed", o->failed);
}

/* As the agent keeps it, and more. */
static json_t *profile_json(const struct gpu_info *info, const struct function *f, const struct outcome *o)
{
	const struct fn_profile *p = &o->profile;
	const struct gpufn_profile kept = {
		.device = info->name,
		.driver = info->driver,
		.by = info->backend,
		.by_nr = (int)info->nr,
		.function = f->name,
		.source = f->hash,
		.group_nanoseconds = p->group * 1e9,
		.slices = p->drawn,
	};
	json_t *all = gpufn_profile_json(&kept);

	json_object_update_new(all, json_pack("{s:f, s:f, s:f, s:i, s:s}", "launch_nanoseconds", p->launch * 1e9,
					      "transfer_bytes_per_second", p->transfer, "held_out_error", p->error, "held_out",
					      (int)p->held, "failed", o->failed));
	return all;
}

static json_t *one_json(bool profiles, const struct gpu_info *info, const struct function *f, unsigned int seconds)
{
	struct outcome o;

	work_apart(profiles ? profile : check, info, f, seconds, &o);
	if (o.failed[0])
		log_error(0, "%s on %s: %s", f->name, info->name, o.failed);
	o.failed[strcspn(o.failed, "\n")] = '\0';
	return profiles ? profile_json(info, f, &o) : check_json(info, f, &o);
}

static json_t *all_json(bool profiles, const char *dir, unsigned int seconds, bool *ret_good)
{
	struct gpu_list list = { 0 };
	struct library l;
	char why[256];
	json_t *all;
	int err;

	if (library_load(dir, complain, &l, why)) {
		log_error(0, "%s", why);
		return NULL;
	}
	err = gpu_list_apart(&list);
	if (err)
		log_error(0, "cannot look for devices: %s", strerror(-err));
	all = err ? NULL : json_array();
	*ret_good = l.n && !l.refused;
	if (!l.n && !l.refused)
		log_error(0, "%s: has no function", dir);
	if (all && !list.n)
		log_error(0, "there is no device: %s, %s", list.absent[0], list.absent[1]);
	for (size_t i = 0; i < list.n * l.n && all; i++) {
		json_t *one = one_json(profiles, &list.devices[i % list.n], l.functions[i / list.n], seconds);

		*ret_good &= !*json_string_value(json_object_get(one, "failed"));
		json_array_append_new(all, one);
	}
	*ret_good &= list.n > 0;
	library_free(&l);
	return all;
}

json_t *gpufn_check(const char *dir, unsigned int seconds, bool *ret_good)
{
	return all_json(false, dir, seconds, ret_good);
}

json_t *gpufn_profile(const char *dir, unsigned int seconds, bool *ret_good)
{
	return all_json(true, dir, seconds, ret_good);
}
