// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>

#include "agent/ctl/noun.h"

static int run_feel(const struct ctl *c)
{
	(void)c;
	puts("it beats");
	return EXIT_SUCCESS;
}

static const struct ctl_verb verbs[] = {
	CTL_SHOW,
	{ .name = "feel", .help = "whether the heart beats", .run = run_feel },
	{},
};

const struct ctl_noun ctl_pulse = { .name = "pulse", .verbs = verbs };
