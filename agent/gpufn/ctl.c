// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/answer.h"
#include "agent/gpufn/ctl_verbs.h"
#include "gpu/sched/simulate.h"

#define CHECK_SECONDS 120 /* compiling has its share of that */

/* check or profile: both have the same arguments. */
static int run_dir(const struct ctl *c, json_t *(*work)(const char *, unsigned int, bool *))
{
	bool good = false;
	char *end = "";
	long limit = c->nr_args > 1 ? strtol(c->args[1], &end, 10) : CHECK_SECONDS;
	int status;

	if (*end || limit < 1 || limit > 100000)
		return ctl_answer_usage("gpufn check and profile: seconds are a whole number, 1 to 100000");
	status = ctl_answer_json(c, work(c->args[0], (unsigned int)limit, &good));
	return good ? status : EXIT_FAILURE;
}

static int run_check(const struct ctl *c)
{
	return run_dir(c, gpufn_check);
}

static int run_profile(const struct ctl *c)
{
	return run_dir(c, gpufn_profile);
}

static int run_call(const struct ctl *c)
{
	int err = gpufn_call(c->agent.run_dir, c->args[0], c->args + 1, c->nr_args - 1);

	return err == -ECONNREFUSED ? EXIT_NO_DAEMON : err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_simulate(const struct ctl *c)
{
	return ctl_answer_json(c, gpufn_simulate(c->args[0]));
}

static int run_generate(const struct ctl *c)
{
	return gpufn_generate(c->args) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Those beside the program, as it was installed or where it was built. Those of a policy only root may ask for. */
static void offer_functions(const struct ctl_offers *o)
{
	static const char *const places[] = { "/../share/nestor/functions", "/../gpu/functions" };
	char program[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	const struct dirent *entry;
	DIR *dir = NULL;

	program[n < 0 ? 0 : n] = '\0';
	*(strrchr(program, '/') ?: program) = '\0';
	for (size_t i = 0; i < 2 && !dir; i++) {
		snprintf(path, sizeof(path), "%s%s", program, places[i]);
		dir = opendir(path);
	}
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s", entry->d_name);
		if (strlen(path) <= strlen(".yaml") || strcmp(path + strlen(path) - strlen(".yaml"), ".yaml") != 0)
			continue;
		path[strlen(path) - strlen(".yaml")] = '\0';
		ctl_offer(o, path);
	}
	if (dir)
		closedir(dir);
}

static void offer_kinds(const struct ctl_offers *o)
{
	for (int i = 0; i < TRACE_KINDS; i++)
		ctl_offer(o, simulate_trace_kind_names[i]);
}

static const struct ctl_verb verbs[] = {
	CTL_SHOW,
	{ .name = "call",
	  .args = "FUNCTION [NAME=VALUE]...",
	  .help = "inputs from standard input, outputs to standard output; deadline=SECONDS, priority=0 to 3 and the "
		  "function's "
		  "scalars",
	  .run = run_call,
	  .offer = offer_functions },
	{ .name = "check",
	  .args = "DIR [SECONDS]",
	  .help = "compile and verify GPU functions, on each device, as root or not",
	  .run = run_check,
	  .offer = ctl_offer_directories },
	{ .name = "profile",
	  .args = "DIR [SECONDS]",
	  .help = "how long they take there, and how far a line through that is off",
	  .run = run_profile,
	  .offer = ctl_offer_directories },
	{ .name = "simulate",
	  .args = "FILE",
	  .help = "what the scheduler of GPU functions makes of a trace of tasks",
	  .run = run_simulate,
	  .offer = ctl_offer_files },
	{ .name = "generate",
	  .args = "KIND TASKS LOAD SEED",
	  .help = "such a trace: poisson, bursty or functions",
	  .run = run_generate,
	  .offer = offer_kinds },
	{},
};

const struct ctl_noun ctl_gpufn = { .name = "gpufn", .verbs = verbs };
