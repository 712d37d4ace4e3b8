// SPDX-License-Identifier: GPL-2.0
/*
 * nestorctl: asks a running nestord and prints what it answers. The daemon renders JSON; agent/ctl/table.c makes tables of
 * it. What commands there are is in agent/nouns.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/defaults.h"
#include "agent/ctl/call.h"
#include "agent/ctl/complete.h"
#include "agent/ctl/usage.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/lib/version.h"
#include "agent/nouns.h"

#define COMPLETE 'C' /* for the shell, not for users */

static const struct ctl_option options[] = {
	{ "interval", "SECONDS", "top: between two readings, 0.1 to 3600 (2)", 'i', true, NULL },
	{ "sort", "KEY", NULL, 's', true, ctl_offer_keys },
	{ "filter", "GLOB", "top: VMs and containers whose name matches, or has this part", 'f', true, NULL },
	{ "count", "N", "top: end after N tables", 'c', true, NULL },
	{ "once", NULL, "top: one table, without a screen", 'o', true, NULL },
	{ "json", NULL, "print JSON", 'j', false, NULL },
	{ "run-dir", "DIR", "of the agent to ask (" DEFAULT_RUN_DIR ")", 'r', false, ctl_offer_directories },
	{ "bpffs", "DIR", "pinned counters, for reset without an agent (" DEFAULT_BPFFS ")", 'b', false,
	  ctl_offer_directories },
	{ "version", NULL, "print the version", 'v', false, NULL },
	{ "help", NULL, "print this", 'h', false, NULL },
	{},
};

static int set_top_option(struct ctl *c, int letter)
{
	c->has_top_options = true;
	switch (letter) {
	case 'i':
		return top_set_interval(&c->top, optarg);
	case 'c':
		return top_set_count(&c->top, optarg);
	case 's':
		c->top.sort = optarg;
		return 0;
	case 'f':
		c->top.order.filter = optarg;
		return 0;
	case 'o':
		c->top.once = true;
		return 0;
	default:
		fputs("Try nestorctl --help.\n", stderr);
		return EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	struct option list[ARRAY_SIZE(options) + 1] = { [ARRAY_SIZE(options) - 1] = { "complete", no_argument, NULL,
										      COMPLETE } };
	struct ctl c = {
		.nouns = nouns,
		.options = options,
		.agent = { DEFAULT_RUN_DIR, 30000 },
		.bpffs = DEFAULT_BPFFS,
		.top = { .order.filter = "", .interval = 2 },
	};
	int letter;

	if (util_open_standard_fds())
		return EXIT_FAILURE;
	log_open("nestorctl", LOG_LEVEL_INFO);
	log_may_wait();
	for (size_t i = 0; options[i].name; i++)
		list[i] = (struct option){ options[i].name, options[i].arg ? required_argument : no_argument, NULL,
					   options[i].letter };
	while ((letter = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (letter) {
		case 'j':
			c.json = true;
			break;
		case 'r':
			c.agent.run_dir = optarg;
			break;
		case 'b':
			c.bpffs = optarg;
			break;
		case 'v':
			printf("nestorctl %s (%s)\n", nestor_version, nestor_revision);
			return EXIT_SUCCESS;
		case 'h':
			ctl_usage(&c);
			return EXIT_SUCCESS;
		case COMPLETE:
			return ctl_complete(&c, argv + optind, (size_t)(argc - optind));
		default:
			if (set_top_option(&c, letter))
				return EXIT_USAGE;
		}
	}
	return ctl_call(&c, argv + optind, (size_t)(argc - optind));
}
