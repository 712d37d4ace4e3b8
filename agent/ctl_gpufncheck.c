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

#include "agent/ctl_gpufn.h"
#include "agent/log.h"
#include "agent/util.h"
#include "gpu/fncheck.h"
#include "gpu/library.h"

/* ---- the process that is thrown away ---- */

static void check_here(const struct gpu_info *info, const struct function *f, struct fn_checked *ret)
{
	char why[192];
	struct gpu *g = gpu_open(info, why);

	if (g)
		fn_check(g, info, f, ret);
	else
		snprintf(ret->failed, sizeof(ret->failed), "%s", why);
	/* Not closed: the process ends, and what the function has done to the driver does not matter. */
}

static _Noreturn void check_child(int to, const struct gpu_info *info, const struct function *f)
{
	struct fn_checked result = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	check_here(info, f, &result);
	_exit(write(to, &result, sizeof(result)) == sizeof(result) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the one that waits for it ---- */

static void reap(pid_t pid, bool in_time, unsigned int seconds, struct fn_checked *ret)
{
	int status = 0;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		snprintf(ret->failed, sizeof(ret->failed), "does not end within %u s", seconds);
	else if (WIFSIGNALED(status))
		snprintf(ret->failed, sizeof(ret->failed), "the process that ran it died of signal %d, %s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(ret->failed, sizeof(ret->failed), "the process that ran it ended without a result");
}

static void check_apart(const struct gpu_info *info, const struct function *f, unsigned int seconds, struct fn_checked *ret)
{
	struct pollfd wait = { .events = POLLIN };
	int ends[2];
	pid_t pid;

	*ret = (struct fn_checked){ 0 };
	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) || (pid = fork()) < 0) {
		snprintf(ret->failed, sizeof(ret->failed), "%s", strerror(errno));
		return;
	}
	if (!pid)
		check_child(ends[1], info, f);
	close(ends[1]);
	wait.fd = ends[0];
	if (poll(&wait, 1, (int)seconds * 1000) != 1)
		reap(pid, false, seconds, ret);
	else if (read(ends[0], ret, sizeof(*ret)) != sizeof(*ret))
		reap(pid, true, seconds, ret);
	else
		waitpid(pid, NULL, 0);
	close(ends[0]);
}

static void complain(const char *why)
{
	log_error(0, "%s", why);
}

static json_t *check_one(const struct gpu_info *info, const struct function *f, unsigned int seconds)
{
	struct fn_checked r;

	check_apart(info, f, seconds, &r);
	if (r.failed[0])
		log_error(0, "%s on %s: %s", f->name, info->name, r.failed);
	r.failed[strcspn(r.failed, "\n")] = '\0';
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "function", f->name, "device", info->name, "by",
			 info->backend, "calls", (int)r.calls, "cuts", (int)r.cuts, "worst_error", r.worst, "tolerance",
			 f->tolerance, "failed", r.failed);
}

json_t *gpufn_check(const char *dir, unsigned int seconds, bool *ret_good)
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
		json_t *one = check_one(&list.devices[i % list.n], l.functions[i / list.n], seconds);

		*ret_good &= !*json_string_value(json_object_get(one, "failed"));
		json_array_append_new(all, one);
	}
	*ret_good &= list.n > 0;
	library_free(&l);
	return all;
}
