// SPDX-License-Identifier: GPL-2.0
/* nestord: parse the command line, check, run. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "agent/core/agent.h"
#include "agent/daemon.h"
#include "agent/http/http.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/lib/version.h"
#include "agent/room.h"
#include "agent/rooms.h"
#include "agent/sections.h"
#include "agent/base/defaults.h"
#include "agent/who/look.h"

static const char usage[] = "Usage: nestord [OPTION]…\n"
			    "Observes and steers the containers and VMs of this machine.\n"
			    "\n"
			    "  --listen ADDR:PORT    where to serve metrics (127.0.0.1:6378; port 0: any)\n"
			    "  --allow-host NAME,…   names that HTTP clients may call this machine by\n"
			    "  --policy FILE|DIR     policy (" DEFAULT_POLICY " if it exists, else the built-in one)\n"
			    "  --run-dir DIR         control socket (" DEFAULT_RUN_DIR ")\n"
			    "  --bpffs DIR           pinned counters (" DEFAULT_BPFFS ")\n"
			    "  --http-user USER      user of the HTTP process (nestor, else nobody)\n"
			    "  --log-level LEVEL     error, warning, info or debug, instead of the policy's\n"
			    "  --check               load and attach everything, report, exit\n"
			    "  --version             print the version and exit\n"
			    "  --help                print this and exit\n";

enum {
	OPT_LISTEN = 256,
	OPT_ALLOW_HOST,
	OPT_POLICY,
	OPT_RUN_DIR,
	OPT_BPFFS,
	OPT_HTTP_USER,
	OPT_LOG_LEVEL,
	OPT_CHECK,
	OPT_VERSION,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "allow-host", required_argument, NULL, OPT_ALLOW_HOST },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "bpffs", required_argument, NULL, OPT_BPFFS },
	{ "http-user", required_argument, NULL, OPT_HTTP_USER },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{},
};

static int set_log_level(struct options *o, const char *name)
{
	enum log_level level;

	if (log_level_parse(name, &level))
		return log_error(-EINVAL, "--log-level %s: must be error, warning, info or debug", name);
	log_set_level(level);
	o->log_level_given = true;
	return 0;
}

/* A typo must not end in another user than the one that was asked for. */
static int set_http_user(struct options *o, const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		return log_error(-EINVAL, "--http-user %s: there is no such user", name);
	if (!user->pw_uid)
		return log_error(-EINVAL, "--http-user %s: the HTTP process must not be root", name);
	o->http_user = name;
	return 0;
}

/* 0: go on; 1: done, exit well; -EINVAL, said. */
static int set_option(struct options *o, int option)
{
	switch (option) {
	case OPT_LISTEN:
		o->listen = optarg;
		return 0;
	case OPT_ALLOW_HOST:
		o->allow_hosts = optarg;
		return 0;
	case OPT_POLICY:
		o->policy = optarg;
		return 0;
	case OPT_RUN_DIR:
		o->run_dir = optarg;
		return 0;
	case OPT_BPFFS:
		o->bpffs = optarg;
		return 0;
	case OPT_HTTP_USER:
		return set_http_user(o, optarg);
	case OPT_LOG_LEVEL:
		return set_log_level(o, optarg);
	case OPT_CHECK:
		o->check = true;
		return 0;
	case OPT_VERSION:
		printf("nestord %s (%s)\n", nestor_version, nestor_revision);
		return 1;
	case OPT_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		fputs("Try nestord --help.\n", stderr);
		return -EINVAL;
	}
}

static int parse(int argc, char **argv, struct options *o)
{
	int option, ret = 0;

	while (!ret && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		ret = set_option(o, option);
	if (!ret && optind < argc)
		ret = log_error(-EINVAL, "%s: nestord takes no arguments, see --help", argv[optind]);
	return ret;
}

/* Loads and attaches, but pins nothing and serves nothing: another agent may run. */
static int check(struct agent *a)
{
	struct policy_error error = {};
	struct policy *policy;
	bool healthy;

	if (policy_load(a->opts.sections, a->opts.policy, &policy, &error))
		return log_error(-EINVAL, "%s", error.text);
	agent_apply(a, policy);
	healthy = agent_healthy(a);
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		printf("%-8s %s%s%s\n", a->rooms[i].room->name, a->rooms[i].up ? "up" : "down", a->rooms[i].up ? "" : ": ",
		       a->rooms[i].reason);
	return healthy ? 0 : -ENOTSUP;
}

/* ---- processes of the agent's own ---- */

static int httpd(char **argv)
{
	return httpd_main(argv, rooms, rooms_nr);
}

static const struct room_process core_processes[] = { { HTTPD_NAME, httpd }, { LOOKER_NAME, look_main }, {} };

static const struct room_process *find_among(const struct room_process *processes, const char *name)
{
	for (; processes && processes->name; processes++)
		if (!strcmp(processes->name, name))
			return processes;
	return NULL;
}

/* NULL: this is the agent itself. */
static const struct room_process *find_process(const char *name)
{
	const struct room_process *found = find_among(core_processes, name);

	for (unsigned int i = 0; !found && i < rooms_nr; i++)
		found = find_among(rooms[i]->processes, name);
	return found;
}

/* ---- */

int main(int argc, char **argv)
{
	struct options opts = {
		.listen = "127.0.0.1:6378",
		.sections = policy_sections,
		.run_dir = DEFAULT_RUN_DIR,
		.bpffs = DEFAULT_BPFFS,
		.http_user = "nestor",
		.allow_hosts = "",
	};
	const struct room_process *process;
	struct agent agent;
	int err;

	if (util_open_standard_fds())
		return EXIT_FAILURE;
	process = find_process(argv[0]);
	if (process)
		return process->main(argv);
	log_open("nestord", LOG_LEVEL_INFO);
	libbpf_set_print(log_libbpf);
	err = parse(argc, argv, &opts);
	if (err)
		return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (!opts.policy && !access(DEFAULT_POLICY, F_OK))
		opts.policy = DEFAULT_POLICY;
	err = agent_open(&agent, &opts, rooms, rooms_nr);
	if (!err)
		err = opts.check ? check(&agent) : daemon_run(&agent);
	agent_close(&agent);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
