// SPDX-License-Identifier: GPL-2.0
/*
 * gpufn: functions for GPUs, with deadlines. The work is a broker's (agent/gpufn/broker.h), a process of its own; here it is
 * started, told who may call, and shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/env.h"
#include "agent/base/history.h"
#include "agent/who/who.h"
#include "agent/room.h"
#include "agent/gpufn/broker.h"
#include "agent/gpufn/policy.h"
#include "agent/gpufn/executor_main.h"
#include "agent/gpufn/wire.h"
#include "agent/gpufn/workdir.h"
#include "agent/gpufn/profiles.h"
#include "agent/gpufn/metrics.h"
#include "agent/lib/json_text.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/who/workload_list.h"
#include "agent/lib/ipc.h"
#include "agent/lib/util.h"

#define USER "nestor-gpufn" /* the broker's and its executors'; where there is none, nobody */
#define END_TIMEOUT_MS 500 /* for the broker to end by itself */
#define AGAIN_NS 1000000000ULL /* before a broker that died is followed by another, ... */
#define AGAIN_MAX_NS (64 * AGAIN_NS) /* ... and twice as long each time, up to this, */
#define STEADY_NS (30 * AGAIN_NS) /* if it did not live for so long */

struct gpufn {
	struct env *env;
	struct workload_list members;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)], functions[PATH_MAX], state_dir[PATH_MAX];
	int listening;
	pid_t broker; /* 0: none */
	struct source answers; /* the broker's; fd -1: it has closed its socket */
	struct source end; /* its pidfd */
	struct source again; /* timer */
	json_t *state; /* what the broker told last */
	bool dirty; /* who may call has changed since the last table that was sent */
	__u64 told, heard; /* tables: sent to this broker, and taken by it */
	struct gpufn_profiles profiles;
	unsigned int restarts;
	__u64 started_at, again_ns;
};

/* ---- who may call ---- */

static const struct gpufn_policy *policy_of(const struct gpufn *g)
{
	return policy_section(g->env->policy, &policy_gpufn);
}

static json_t *tenant_json(const struct gpufn_policy *p, const struct gpufn_tenant *t, const char *name)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "tenant", json_text(t->name ?: name), "weight",
			 (json_int_t)(t->weight ?: 1), "priority", (json_int_t)t->priority, "memory",
			 (json_int_t)(t->memory ?: p->memory), "queue", (json_int_t)(t->queue ?: p->queue));
}

static json_t *paths_json(const struct gpufn *g, const struct gpufn_policy *p)
{
	json_t *all = json_object();
	const struct workload_entry *m;

	LIST_FOREACH (m, &g->members.list, entry)
		for (unsigned int i = 0; i < p->tenants_count; i++) {
			const struct gpufn_tenant *t = &p->tenants[i];

			if (m->one->pid || !t->container || !who_matches(m->one, t->container, NULL)) /* VMs call otherwise */
				continue;
			json_object_set_new(all, m->one->path, tenant_json(p, t, m->one->container));
			break;
		}
	return all;
}

/* By the names that policy has: to look one up may take long, so the broker does it. */
static json_t *users_json(const struct gpufn_policy *p)
{
	json_t *all = json_object();

	for (unsigned int i = 0; i < p->tenants_count; i++) {
		const struct gpufn_tenant *t = &p->tenants[i];
		char name[64];

		if (!t->user || json_object_get(all, t->user))
			continue;
		snprintf(name, sizeof(name), "user:%s", t->user);
		json_object_set_new(all, t->user, tenant_json(p, t, name));
	}
	return all;
}

static __u64 memory_of_all(const struct gpufn_policy *p)
{
	return p->memory_all ?: (__u64)sysconf(_SC_PHYS_PAGES) * (__u64)sysconf(_SC_PAGESIZE) / 2;
}

static json_t *table_json(struct gpufn *g)
{
	const struct gpufn_policy *p = policy_of(g);

	return json_pack("{s:I, s:I, s:o, s:b, s:o, s:s, s:s, s:b, s:f, s:o*}", "nr", (json_int_t)g->told + 1, "memory",
			 (json_int_t)memory_of_all(p), "paths", paths_json(g, p), "memory_v1", g->env->kernel.memory_v1,
			 "users", users_json(p), "share", shares_rule_names[p->share], "rule", sched_rule_names[p->rule],
			 "enforce", p->mode == MODE_ENFORCE, "slice_limit", (double)p->slice_limit / 1e9, "profiles",
			 g->told ? NULL : gpufn_profiles_list(&g->profiles)); /* the first: what brokers before learnt */
}

/*
 * The whole table, of which one is under way at a time: the broker repeats its number. Many births together take few tables,
 * and one that cannot be sent is sent again with the broker's next state, a second later at most.
 */
static void tell_broker(struct gpufn *g)
{
	_free_ char *text = NULL;
	json_t *table;
	int err;

	if (g->answers.fd < 0 || !g->dirty || g->told != g->heard)
		return;
	table = table_json(g);
	text = table ? json_dumps(table, JSON_COMPACT) : NULL;
	json_decref(table);
	err = text ? ipc_send_reply(g->answers.fd, 0, text, strlen(text)) : -ENOMEM;
	if (err) {
		log_warning("gpufn: cannot send the policy to the broker, and try again: %s", strerror(-err));
		return;
	}
	g->told++;
	g->dirty = false;
}

static void on_members(void *data)
{
	struct gpufn *g = data;

	g->dirty = true;
	tell_broker(g);
}

/* ---- the broker ---- */

/* Once it is reaped, or given up. */
static void forget_broker(struct gpufn *g)
{
	if (g->answers.fd >= 0)
		loop_remove(&g->env->loop, &g->answers);
	if (g->end.fd >= 0)
		loop_remove(&g->env->loop, &g->end);
	g->broker = 0;
	json_decref(g->state);
	g->state = NULL;
}

/* Not at once for ever: one that cannot live does not fill the log. */
static void plan_another(struct gpufn *g, int status)
{
	bool steady = now_ns() - g->started_at > STEADY_NS;

	g->again_ns = steady || !g->again_ns ? AGAIN_NS : g->again_ns < AGAIN_MAX_NS ? 2 * g->again_ns : AGAIN_MAX_NS;
	log_warning("gpufn: the broker ended, status %d; it is started again in %llu s", status,
		    (unsigned long long)(g->again_ns / AGAIN_NS));
	loop_timer_rearm(g->again.fd, g->again_ns, 0);
}

static void on_end(struct source *s)
{
	struct gpufn *g = s->data;
	int status = 0;

	if (child_wait(g->broker, 0, &status) == -ETIMEDOUT)
		return;
	forget_broker(g);
	plan_another(g, status);
}

static void take_state(struct gpufn *g, int fd, size_t len)
{
	json_t *state = len <= GPUFN_STATE_MAX ? json_loadfd(fd, 0, NULL) : NULL;

	if (!state)
		return;
	json_decref(g->state);
	g->state = state;
	g->heard = (__u64)json_integer_value(json_object_get(state, "policy"));
	gpufn_profiles_take(&g->profiles, state);
	tell_broker(g);
}

/* State that came. A broker that has closed its socket, or sends what it should not, is killed. */
static void on_answer(struct source *s)
{
	struct gpufn *g = s->data;
	_close_ int fd = -1;
	size_t len;
	int status, err = ipc_recv_reply(s->fd, 0, &status, &fd, &len);

	if (err == -ETIMEDOUT)
		return;
	if (!err) {
		take_state(g, fd, len);
		return;
	}
	if (err == -EBADMSG)
		log_warning("gpufn: the broker sent a message that is cut or has a wrong descriptor; it is killed");
	loop_remove(&g->env->loop, s);
	child_kill(g->broker);
}

static void stop_broker(struct gpufn *g)
{
	if (!g->broker)
		return;
	if (g->answers.fd >= 0)
		loop_remove(&g->env->loop, &g->answers); /* at which it ends; executors with it */
	if (child_end(g->broker, END_TIMEOUT_MS, NULL))
		log_warning("gpufn: the broker, process %d, does not end", g->broker);
	forget_broker(g);
}

static int start_broker(struct gpufn *g)
{
	const char *const argv[] = { GPUFN_BROKER_NAME, USER, g->functions, g->state_dir, NULL };
	const char *envp[GPUFN_PASSED_MAX + 3] = { "PATH=/usr/bin:/bin" };
	const int fds[] = { CHILD_NULL, CHILD_NULL,
			    STDERR_FILENO, [GPUFN_AGENT_FD] = CHILD_SOCKET, [GPUFN_LISTEN_FD] = g->listening };
	int err, sock;

	gpufn_pass_environment((char **)envp + 1);
	g->started_at = now_ns();
	err = child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, &g->broker, &sock);
	if (err)
		return log_error(err, "gpufn: cannot start a broker: %s", strerror(-err));
	g->answers = (struct source){ .fd = sock, .ready = on_answer, .data = g };
	g->end = (struct source){ .fd = (int)syscall(SYS_pidfd_open, g->broker, 0), .ready = on_end, .data = g };
	err = g->end.fd < 0 ? log_error(-errno, "gpufn: cannot watch the broker: %m") : loop_add(&g->env->loop, &g->end);
	err = err ?: loop_add(&g->env->loop, &g->answers);
	if (err) {
		stop_broker(g);
		return err;
	}
	g->told = g->heard = 0;
	on_members(g);
	return 0;
}

static void on_again(struct source *s)
{
	struct gpufn *g = s->data;

	loop_timer_drain(s->fd);
	if (g->broker)
		return;
	g->restarts++;
	if (start_broker(g))
		loop_timer_rearm(g->again.fd, AGAIN_NS, 0);
}

/* ---- its files ---- */

/* Beside the program: as it was installed, or where it was built. */
static int find_functions(struct gpufn *g)
{
	static const char *const places[] = { "../share/nestor/functions", "../gpu/functions" };
	const char *given = policy_of(g)->functions;
	char exe[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	snprintf(g->functions, sizeof(g->functions), "%s", given);
	if (strcmp(given, "auto") != 0)
		return access(g->functions, R_OK | X_OK) ? log_error(-errno, "gpufn: %s: %m", g->functions) : 0;
	exe[n > 0 ? n : 0] = '\0';
	dirname(exe);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", exe, places[i]);
		if (realpath(path, g->functions))
			return 0;
	}
	return log_error(-ENOENT, "gpufn: there are no functions beside %s; policy can name their directory", exe);
}

/* Anybody may knock; who is no tenant is told so. */
static int open_socket(struct gpufn *g)
{
	const struct gpufn_policy *p = policy_of(g);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!strcmp(p->socket, "auto"))
		snprintf(g->socket, sizeof(g->socket), "%s/gpufn.sock", g->env->run_dir);
	else
		snprintf(g->socket, sizeof(g->socket), "%s", p->socket);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", g->socket);
	unlink(g->socket);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(g->socket, 0666) || listen(fd, 128)) {
		close_p(&fd);
		return log_error(-errno, "gpufn: cannot listen at %s: %m", g->socket);
	}
	g->listening = fd;
	return 0;
}

/*
 * In it the broker makes a directory of its own. As /tmp is: to give it to the broker's user would take CAP_CHOWN, and what
 * others can do there is no more than they can do in /tmp.
 */
static int make_state_dir(struct gpufn *g)
{
	const char *cache = policy_of(g)->cache;
	struct stat st;

	if (mkdir(cache, 0755) ? errno != EEXIST : chmod(cache, 0755)) /* whatever the umask: the broker is another user */
		return log_error(-errno, "gpufn: cannot make %s: %m", cache);
	snprintf(g->state_dir, sizeof(g->state_dir), "%s/gpufn", cache);
	if (mkdir(g->state_dir, 0700) && errno != EEXIST)
		return log_error(-errno, "gpufn: cannot make %s: %m", g->state_dir);
	if (lstat(g->state_dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || chmod(g->state_dir, 01777))
		return log_error(-EPERM, "gpufn: %s is no directory of ours", g->state_dir);
	return 0;
}

/* ---- life ---- */

static int gpufn_probe(const struct kernel *k)
{
	(void)k;
	return 0;
}

static int gpufn_apply(void *self, const struct policy *p)
{
	struct gpufn *g = self;

	(void)p;
	on_members(g);
	return 0;
}

static void gpufn_stop(void *self)
{
	struct gpufn *g = self;

	stop_broker(g);
	workload_list_close(&g->members);
	if (g->again.fd >= 0)
		loop_remove(&g->env->loop, &g->again);
	if (g->listening >= 0) {
		close(g->listening);
		unlink(g->socket);
	}
	json_decref(g->state);
	gpufn_profiles_close(&g->profiles);
	free(g);
}

static int start(struct gpufn *g)
{
	int err;

	err = find_functions(g);
	if (err)
		return err;
	g->again = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_again, .data = g };
	err = g->again.fd < 0 ? log_error(g->again.fd, "gpufn: cannot make a timer") : loop_add(&g->env->loop, &g->again);
	if (err || !g->env->pin_dir)
		return err;
	err = make_state_dir(g);
	if (!err)
		gpufn_profiles_open(&g->profiles, policy_of(g)->cache);
	return err ?: open_socket(g) ?: start_broker(g);
}

static int gpufn_start(struct env *env, void **ret)
{
	struct gpufn *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return log_error(-ENOMEM, "gpufn: out of memory");
	*g = (struct gpufn){ .env = env, .listening = -1, .again = { .fd = -1 }, .answers = { .fd = -1 }, .end = { .fd = -1 } };
	err = start(g);
	if (err) {
		gpufn_stop(g);
		return err;
	}
	workload_list_open(&g->members, env->who, on_members, g);
	*ret = g;
	return 0;
}

static void gpufn_collect(void *self, struct metrics *m)
{
	const struct gpufn *g = self;

	gpufn_stats_collect(g->state, g->restarts, m);
}

static const struct history_quantity gpufn_quantities[] = {
	{ "gpufn_done", "calls", "calls that ended in time", true },
	{ "gpufn_missed", "calls", "calls that were late, dropped, refused or failed", true },
	{},
};

static void gpufn_sample(void *self, struct history *h)
{
	const struct gpufn *g = self;

	gpufn_stats_sample(g->state, h);
}

static json_t *gpufn_show(void *self)
{
	const struct gpufn *g = self;
	json_t *all = g->state ? json_copy(g->state) : json_object();

	json_object_set_new(all, "socket", json_text(g->socket));
	/* Does the broker go by the policy and the containers that there are now? */
	json_object_set_new(all, "current", json_boolean(g->broker && !g->dirty && g->told == g->heard));
	return all;
}

const struct room room_gpufn = {
	.name = "gpufn",
	.doc = "functions for GPUs, called by containers and users, with deadlines",
	.policy = &policy_gpufn,
	.probe = gpufn_probe,
	.start = gpufn_start,
	.apply = gpufn_apply,
	.collect = gpufn_collect,
	.sample = gpufn_sample,
	.quantities = gpufn_quantities,
	.show = gpufn_show,
	.stop = gpufn_stop,
	.processes = (const struct room_process[]){ { GPUFN_BROKER_NAME, gpufn_broker_main },
						    { GPUFN_EXECUTOR_NAME, gpufn_executor_main },
						    {} },
};
