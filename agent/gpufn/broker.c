// SPDX-License-Identifier: GPL-2.0
/* The broker's life: what the agent tells it, and devices. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cap-ng.h>

#include "agent/gpufn/broker.h"
#include "agent/gpufn/confine.h"
#include "agent/gpufn/watch.h"
#include "agent/gpufn/workdir.h"
#include "agent/gpufn/profiles.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/ipc.h"
#include "agent/lib/util.h"

#define SECOND_NS 1000000000ULL

/* ---- the agent ---- */

/* What brokers before this one have learnt. */
static void take_profile(struct broker *b, json_t *o)
{
	struct gpufn_profile p;

	if (!gpufn_profile_read(o, &p) || strlen(p.function) >= FN_NAME_MAX)
		return;
	for (unsigned int i = 0; i < b->nr_devices; i++) {
		const struct gpu_info *info = &b->devices[i].info;

		if ((int)info->nr == p.by_nr && !strcmp(info->backend, p.by) && !strcmp(info->name, p.device) &&
		    !strcmp(info->driver, p.driver))
			device_take_profile(&b->devices[i], p.function, p.source, p.group_nanoseconds / 1e9, p.slices);
	}
}

static unsigned int find_name(json_t *policy, const char *key, const char *const *names, unsigned int nr)
{
	return util_find_name(names, nr, json_string_value(json_object_get(policy, key)));
}

static void take_policy(struct broker *b, json_t *policy)
{
	enum shares_rule share = (enum shares_rule)find_name(policy, "share", shares_rule_names, SHARES_RULES);
	enum sched_rule rule = (enum sched_rule)find_name(policy, "rule", sched_rule_names, SCHED_RULES);
	json_t *profile;
	size_t i;

	tenant_take_policy(b, policy);
	b->enforce = json_is_true(json_object_get(policy, "enforce"));
	b->slice_limit = json_number_value(json_object_get(policy, "slice_limit"));
	json_array_foreach (json_object_get(policy, "profiles"), i, profile)
		take_profile(b, profile);
	if (share == b->share && rule == b->rule)
		return;
	b->share = share;
	b->rule = rule;
	for (i = 0; i < b->nr_devices; i++)
		device_requeue(&b->devices[i]);
	for (i = 0; i < b->nr_devices; i++)
		device_next(&b->devices[i]);
}

static void send_state(struct broker *b)
{
	json_t *state = broker_state(b);
	_free_ char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;

	json_decref(state);
	if (text)
		(void)ipc_send_reply(b->agent.fd, 0, text, strlen(text)); /* an agent that does not read has not asked */
}

/* A policy, whenever that or who there is has changed. The agent sends the next one when it has the number of this one. */
static void on_agent(struct source *s)
{
	struct broker *b = s->data;
	_close_ int fd = -1;
	json_t *policy;
	size_t len;
	int status, err = ipc_recv_reply(s->fd, 0, &status, &fd, &len);

	if (err == -ETIMEDOUT)
		return;
	if (err) { /* the agent is gone, and so are we */
		b->loop.stop = true;
		return;
	}
	policy = json_loadfd(fd, 0, NULL);
	if (!policy)
		return;
	take_policy(b, policy);
	send_state(b);
}

/* ---- devices ---- */

static int open_devices(struct broker *b)
{
	struct gpu_list list;
	int err = gpu_list_apart(&list);

	if (err)
		return log_error(err, "cannot look for devices: %s", strerror(-err));
	b->devices = calloc(list.n + 1, sizeof(*b->devices));
	if (!b->devices)
		return log_error(-ENOMEM, "out of memory");
	for (size_t i = 0; i < list.n && !err; i++)
		if (!list.devices[i].refused[0]) {
			err = device_init(b, &b->devices[b->nr_devices], &list.devices[i], b->nr_devices, call_given_up);
			b->nr_devices++;
		}
	if (!b->nr_devices)
		log_warning("there is no device, and calls are refused: %s, %s", list.absent[0], list.absent[1]);
	return err;
}

/* ---- life ---- */

static void on_tick(struct source *s)
{
	struct broker *b = s->data;

	loop_timer_drain(s->fd);
	call_check_limits(b);
	executor_kill_retired(b);
}

/* Once a second, whatever happens. */
static void on_second(struct source *s)
{
	loop_timer_drain(s->fd);
	send_state(s->data);
	gpufn_http_tick(s->data);
	watch_directory(s->data);
	executor_tend(s->data);
}

static int add_timer(struct broker *b, struct source *s, void (*ready)(struct source *), __u64 every)
{
	*s = (struct source){ .fd = loop_timer_open(every, every), .ready = ready, .data = b };
	return s->fd < 0 ? log_error(s->fd, "cannot make a timer") : loop_add(&b->loop, s);
}

static int open_all(struct broker *b)
{
	static struct source second;
	int err = loop_open(&b->loop);

	b->agent = (struct source){ .fd = GPUFN_AGENT_FD, .ready = on_agent, .data = b };
	err = err ?: open_devices(b);
	err = err ?: watch_library(b);
	err = err ?: loop_add(&b->loop, &b->agent);
	err = err ?: add_timer(b, &b->tick, on_tick, 0);
	err = err ?: add_timer(b, &second, on_second, SECOND_NS);
	return err ?: gpufn_http_open(b);
}

/* Another user, no capability, nothing to gain. Groups stay the user's: devices may be theirs. */
static int become(const char *name)
{
	const struct passwd *user = getpwnam(name);

	user = user ?: getpwnam("nobody");
	if (!user)
		return log_error(-ENOENT, "there is neither a user %s nor nobody", name);
	if (initgroups(user->pw_name, user->pw_gid) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return log_error(-errno, "cannot become user %s: %m", user->pw_name);
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return log_error(-EPERM, "cannot give up privileges");
	return 0;
}

static void close_all(struct broker *b)
{
	gpufn_http_close(b);
	while (!TAILQ_EMPTY(&b->calls))
		call_free(TAILQ_FIRST(&b->calls));
	executor_kill_all(b);
	for (unsigned int i = 0; i < b->nr_devices; i++)
		device_close(&b->devices[i]);
	for (struct tenant *t; (t = LIST_FIRST(&b->tenants));) {
		LIST_REMOVE(t, entry);
		free(t);
	}
	free(b->devices);
	library_free(&b->library);
	library_free(&b->before);
	json_decref(b->names);
	json_decref(b->users);
}

int gpufn_broker_main(char **argv)
{
	static struct broker b = { .share = SHARES_DEADLINE, .rule = RULE_ADAPTIVE };
	char own_dir[PATH_MAX] = "";
	int err;

	log_open("nestord: gpufn", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	TAILQ_INIT(&b.calls);
	b.executor_ops = &call_executor_ops;
	b.functions_dir = argv[2];
	err = become(argv[1]);
	err = err ?: child_follow_parent(SIGKILL, GPUFN_AGENT_FD);
	err = err ?: gpufn_make_dir(argv[3], own_dir, sizeof(own_dir));
	b.state_dir = own_dir;
	err = err ?: open_all(&b);
	err = err ?: confine_broker();
	err = err ?: loop_run(&b.loop);
	close_all(&b);
	if (*own_dir)
		gpufn_remove_dir(own_dir);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
