// SPDX-License-Identifier: GPL-2.0
/* nestorctl: asks a running nestord and prints what it answers. The daemon renders JSON; agent/ctl/table.c makes tables of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/base/bpfobj.h"
#include "agent/ctl/ask.h"
#include "agent/cache/ctl_disk.h"
#include "agent/dedup/ctl_targets.h"
#include "agent/dedup/ctl_gpu.h"
#include "agent/gpufn/ctl_verbs.h"
#include "agent/ctl/table.h"
#include "agent/ctl/top.h"
#include "agent/lib/json_text.h"
#include "agent/dedup/ksm.h"
#include "agent/lib/log.h"
#include "agent/base/defaults.h"
#include "agent/policy/policy.h"
#include "agent/lib/prom_parse.h"
#include "agent/steer/cgroup_values.h"
#include "agent/lib/util.h"

static const char usage[] = "Usage: nestorctl [OPTION]… COMMAND\n"
			    "\n"
			    "  rooms                 rooms, their state, and why one is down\n"
			    "  status                the agent\n"
			    "  policy show           the policy in force\n"
			    "  policy check FILE     look for errors in a policy file or directory; needs no agent\n"
			    "  policy reload         read the policy again now\n"
			    "  containers            containers by name, their runtime and cgroup\n"
			    "  vms                   virtual machines and their processes\n"
			    "  top                   rates per VM and container, as they change\n"
			    "  metrics               what Prometheus would get\n"
			    "  ROOM show             what a room has measured, e.g. blkio show\n"
			    "  cache attach DISK     make /dev/mapper/NAME-nestor, which goes through the cache\n"
			    "  cache detach NAME     take it out again; if it is in use, it goes on without\n"
			    "  cache list            what is attached\n"
			    "  cache policy load FILE   have a BPF program of your own choose stores\n"
			    "  cache policy reset    have the built-in one choose again\n"
			    "  cache top             who has what of the cache, and rates, as they change\n"
			    "  dedup report WHOSE    how much of the memory of processes (by number) and cgroups (by\n"
			    "                        path), such as VMs and containers, is the same\n"
			    "  dedup undo WHOSE      take apart what is merged of it, and have it left alone\n"
			    "  gpu list              devices that compute, and what is wrong with those that do not\n"
			    "  gpu bench             how fast each hashes pages\n"
			    "  gpufn call FUNCTION [NAME=VALUE]...   inputs from standard input, outputs to standard output;\n"
			    "                        deadline=SECONDS, priority=0 to 3 and the function's scalars\n"
			    "  gpufn check DIR [SECONDS]   compile and verify GPU functions, on each device, as root or not\n"
			    "  gpufn profile DIR [SECONDS]   how long they take there, and how far a line through that is off\n"
			    "  gpufn simulate FILE   what the scheduler of GPU functions makes of a trace of tasks\n"
			    "  gpufn generate KIND TASKS LOAD SEED   such a trace: poisson, bursty or functions\n"
			    "  reset                 forget all counters; without a running agent also\n"
			    "                        take back the limits that it left in force\n"
			    "\n"
			    "  --interval SECONDS    top: between two readings, 0.1 to 3600 (2)\n"
			    "  --sort KEY            top: a column, e.g. reads, p99, hit, rx, container (p99);\n"
			    "                        cache top: e.g. memory, ssd, hit, gets (memory)\n"
			    "  --filter GLOB         top: VMs and containers whose name matches, or has this part\n"
			    "  --count N             top: end after N tables\n"
			    "  --once                top: one table, without a screen\n"
			    "  --json                print JSON\n"
			    "  --run-dir DIR         of the agent to ask (" DEFAULT_RUN_DIR ")\n"
			    "  --bpffs DIR           pinned counters, for reset without an agent (" DEFAULT_BPFFS ")\n"
			    "  --version, --help\n"
			    "\n"
			    "Exit status: 0 done, 1 refused or failed, 2 wrong arguments, 3 no agent answers.\n";

static struct ctl_agent agent = { .run_dir = DEFAULT_RUN_DIR, .timeout_ms = 30000 };
static const char *bpffs = DEFAULT_BPFFS;
static bool as_json;
static struct top_options top = { .order.filter = "", .interval = 2 };
static const char *top_sort;
static bool has_top_options;

static void print_answer(const char *text)
{
	if (as_json)
		fputs(text, stdout);
	else
		ctl_print(text);
}

static json_t *sample_json(const struct prom_sample *sample)
{
	json_t *labels = json_object(), *value;
	char *end;

	for (size_t i = 0; i < sample->nr_labels; i++)
		json_object_set_new(labels, sample->labels[i].name, json_text(sample->labels[i].value));
	value = json_integer(strtoll(sample->value, &end, 10));
	if (*end) {
		json_decref(value);
		value = json_real(strtod(sample->value, NULL));
	}
	return json_pack("{s:s, s:o, s:o?}", "name", sample->name, "labels", labels, "value", value);
}

static void print_samples(char *text)
{
	json_t *list = json_array();
	struct prom_sample sample;
	char *json;

	while (prom_next(&text, &sample))
		json_array_append_new(list, sample_json(&sample));
	json = json_dumps(list, JSON_INDENT(2));
	if (json)
		puts(json);
	free(json);
	json_decref(list);
}

static int ask_with(const char *command, const char *arg, int file)
{
	_free_ char *text = NULL;
	int status, err;

	err = ctl_ask(&agent, command, arg, file, &status, &text);
	if (err)
		return ctl_no_agent(&agent, err);
	if (status) {
		log_error(0, "%s", *text ? text : strerror(-status));
		return EXIT_FAILURE;
	}
	if (as_json && !strcmp(command, "metrics"))
		print_samples(text);
	else
		print_answer(text);
	return EXIT_SUCCESS;
}

static int ask_and_print(const char *command, const char *arg)
{
	return ask_with(command, arg, -1);
}

/* ---- commands ---- */

static int do_policy_check(const char *path)
{
	struct policy_error error;
	struct policy *policy;

	if (policy_load(path, &policy, &error)) {
		if (as_json)
			print_answer("{\"valid\": false}\n");
		log_error(0, "%s", error.text);
		return EXIT_FAILURE;
	}
	policy_free(policy);
	if (as_json)
		print_answer("{\"valid\": true}\n");
	else
		printf("%s: good\n", path);
	return EXIT_SUCCESS;
}

/* An agent that runs, but with another --run-dir, would go on counting into removed maps. */
static bool is_in_use(void)
{
	_close_ int fd = open(bpffs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static int print_removed(unsigned int removed)
{
	printf(as_json ? "{\"maps_removed\": %u}\n" : "maps_removed: %u\n", removed);
	return EXIT_SUCCESS;
}

/* Limits hold while no agent runs: what they replaced comes back. */
static int undo_settings(void)
{
	_close_ int dir = open(agent.run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned int restored;
	int err;

	if (dir < 0)
		return errno == ENOENT ? 0 : log_error(-errno, "%s: %m", agent.run_dir);
	if (flock(dir, LOCK_EX | LOCK_NB))
		return log_error(-EBUSY, "%s is in use by an agent that does not answer", agent.run_dir);
	err = cgroup_values_undo(dir, &restored);
	if (restored)
		log_info("%u limits taken back", restored);
	return ksm_undo(dir) ?: err;
}

static int reset_without_agent(void)
{
	bool kept = !access(bpffs, F_OK) || errno != ENOENT;
	unsigned int removed;
	int lock, err;

	if (kept && geteuid())
		return log_error(EXIT_FAILURE, "only root can remove the counters in %s; try sudo", bpffs);
	if (kept && is_in_use())
		return log_error(EXIT_FAILURE, "%s is in use by an agent that does not answer at %s; give its --run-dir", bpffs,
				 agent.run_dir);
	if (undo_settings())
		return EXIT_FAILURE;
	if (!kept)
		return print_removed(0);
	if (bpfobj_open_dir(bpffs, &lock))
		return EXIT_FAILURE;
	err = bpfobj_remove_pins(bpffs, &removed);
	if (!err && rmdir(bpffs))
		err = -errno;
	close(lock);
	return err ? log_error(EXIT_FAILURE, "%s: %s", bpffs, strerror(-err)) : print_removed(removed);
}

static int do_reset(void)
{
	_free_ char *text = NULL;
	int status;

	if (ctl_ask(&agent, "reset", "", -1, &status, &text))
		return reset_without_agent();
	if (status)
		return log_error(EXIT_FAILURE, "%s", text);
	print_answer(text);
	return EXIT_SUCCESS;
}

static int wrong(const char *what)
{
	log_error(0, "%s; see nestorctl --help", what);
	return EXIT_USAGE;
}

static int do_policy(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("policy", "");
	if (argc == 2 && !strcmp(argv[1], "reload"))
		return ask_and_print("reload", "");
	if (argc == 3 && !strcmp(argv[1], "check"))
		return do_policy_check(argv[2]);
	return wrong("policy takes show, reload or check FILE");
}

static int do_top(enum top_table table)
{
	int err = top_set_table(&top, table, top_sort);

	if (err)
		return err;
	top.agent = agent;
	top.json = as_json;
	return top_run(&top);
}

/* The file is opened here: the agent may not see the user's directories. */
static int do_cache_policy(int argc, char **argv)
{
	_close_ int file = -1;

	if (argc == 3 && !strcmp(argv[2], "reset"))
		return ask_and_print("unload", "cache");
	if (argc != 4 || strcmp(argv[2], "load") != 0)
		return wrong("cache policy takes load FILE or reset");
	file = open(argv[3], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return log_error(EXIT_FAILURE, "%s: %m", argv[3]);
	return ask_with("load", "cache", file);
}

/* Takes @list, which may be NULL: what it is has been said. */
static int print_list(json_t *list)
{
	_free_ char *text = list ? json_dumps(list, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(list);
	if (!text)
		return EXIT_FAILURE;
	print_answer(text);
	if (as_json)
		putchar('\n');
	return EXIT_SUCCESS;
}

static int do_gpu(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "list"))
		return print_list(gpu_list_devices());
	if (argc == 2 && !strcmp(argv[1], "bench"))
		return print_list(gpu_bench());
	return wrong("gpu takes list or bench");
}

#define CHECK_SECONDS 120 /* compiling has its share of that */

static int do_gpufn_dir(json_t *(*work)(const char *, unsigned int, bool *), const char *dir, const char *seconds)
{
	bool good = false;
	char *end = "";
	long limit = seconds ? strtol(seconds, &end, 10) : CHECK_SECONDS;
	int status;

	if (*end || limit < 1 || limit > 100000)
		return wrong("gpufn check and profile: seconds are a whole number, 1 to 100000");
	status = print_list(work(dir, (unsigned int)limit, &good));
	return good ? status : EXIT_FAILURE;
}

static int do_gpufn_call(int argc, char **argv)
{
	int err = gpufn_call(agent.run_dir, argv[2], argv + 3, (size_t)argc - 3);

	return err == -ECONNREFUSED ? EXIT_NO_DAEMON : err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int do_gpufn(int argc, char **argv)
{
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "check"))
		return do_gpufn_dir(gpufn_check, argv[2], argv[3]);
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "profile"))
		return do_gpufn_dir(gpufn_profile, argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "simulate"))
		return print_list(gpufn_simulate(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("show", "gpufn");
	if (argc >= 3 && !strcmp(argv[1], "call"))
		return do_gpufn_call(argc, argv);
	if (argc == 6 && !strcmp(argv[1], "generate"))
		return gpufn_generate(argv + 2) ? EXIT_FAILURE : EXIT_SUCCESS;
	return wrong("gpufn takes show, call FUNCTION [NAME=VALUE]..., check|profile DIR [SECONDS], simulate FILE, or generate "
		     "KIND TASKS LOAD SEED");
}

static int do_dedup(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "report"))
		return print_list(dedup_report(argv + 2, (size_t)argc - 2));
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("show", "dedup");
	if (argc >= 3 && !strcmp(argv[1], "undo"))
		return print_list(dedup_undo(argv + 2, (size_t)argc - 2));
	return wrong("dedup takes show, or report or undo and processes or cgroups");
}

static int do_cache(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("show", "cache");
	if (argc == 3 && !strcmp(argv[1], "attach"))
		return cache_attach(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "detach"))
		return cache_detach(argv[2]);
	if (argc >= 2 && !strcmp(argv[1], "policy"))
		return do_cache_policy(argc, argv);
	if (argc != 2 || strcmp(argv[1], "list") != 0)
		return wrong("cache takes show, top, list, attach DISK, detach NAME or policy");
	return print_list(cache_list());
}

static int run(int argc, char **argv)
{
	static const char *const plain[] = { "rooms", "status", "containers", "vms", "metrics" };

	if (!argc)
		return wrong("a command is missing");
	if (!strcmp(argv[0], "top"))
		return argc == 1 ? do_top(TOP_MAIN) : wrong("top takes options, but no argument");
	if (argc == 2 && !strcmp(argv[0], "cache") && !strcmp(argv[1], "top"))
		return do_top(TOP_CACHE);
	if (has_top_options)
		return wrong("--interval, --sort, --filter, --count and --once are for top and cache top alone");
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strcmp(argv[0], plain[i]))
			return argc == 1 ? ask_and_print(plain[i], "") : wrong("this command takes no argument");
	if (!strcmp(argv[0], "policy"))
		return do_policy(argc, argv);
	if (!strcmp(argv[0], "cache"))
		return do_cache(argc, argv);
	if (!strcmp(argv[0], "dedup"))
		return do_dedup(argc, argv);
	if (!strcmp(argv[0], "gpu"))
		return do_gpu(argc, argv);
	if (!strcmp(argv[0], "gpufn"))
		return do_gpufn(argc, argv);
	if (!strcmp(argv[0], "reset"))
		return argc == 1 ? do_reset() : wrong("reset takes no argument");
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("show", argv[0]);
	log_error(0, "there is no command %s%s%s; see nestorctl --help", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	return EXIT_USAGE;
}

static int set_top_option(int option)
{
	has_top_options = true;
	switch (option) {
	case 'i':
		return top_set_interval(&top, optarg);
	case 's':
		top_sort = optarg;
		return 0;
	case 'c':
		return top_set_count(&top, optarg);
	case 'f':
		top.order.filter = optarg;
		return 0;
	case 'o':
		top.once = true;
		return 0;
	default:
		fputs("Try nestorctl --help.\n", stderr);
		return EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "bpffs", required_argument, NULL, 'b' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "interval", required_argument, NULL, 'i' },
		{ "sort", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "filter", required_argument, NULL, 'f' },
		{ "once", no_argument, NULL, 'o' },
		{},
	};
	int option;

	log_open("nestorctl", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 'r':
			agent.run_dir = optarg;
			break;
		case 'b':
			bpffs = optarg;
			break;
		case 'v':
			puts("nestorctl " NESTOR_VERSION " (" NESTOR_REVISION ")");
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			if (set_top_option(option))
				return EXIT_USAGE;
		}
	}
	return run(argc - optind, argv + optind);
}
