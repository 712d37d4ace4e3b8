// SPDX-License-Identifier: GPL-2.0
#include "agent/ctl/answer.h"
#include "agent/dedup/ctl_gpu.h"
#include "agent/dedup/ctl_targets.h"
#include "agent/dedup/ksm.h"

static int run_report(const struct ctl *c)
{
	return ctl_answer_json(c, dedup_report(c->args, c->nr_args));
}

static int run_undo(const struct ctl *c)
{
	return ctl_answer_json(c, dedup_undo(c->args, c->nr_args));
}

static int run_gpu_list(const struct ctl *c)
{
	return ctl_answer_json(c, ctl_gpu_list());
}

static int run_gpu_bench(const struct ctl *c)
{
	return ctl_answer_json(c, ctl_gpu_bench());
}

static const struct ctl_verb verbs[] = {
	CTL_SHOW,
	{ .name = "report",
	  .args = "WHOSE...",
	  .help = "how much of the memory of processes (by number) and cgroups (by path), such as VMs and containers, is the "
		  "same",
	  .run = run_report },
	{ .name = "undo",
	  .args = "WHOSE...",
	  .help = "take apart what is merged of it, and have it left alone",
	  .run = run_undo },
	{},
};

static const struct ctl_verb gpu_verbs[] = {
	{ .name = "list", .help = "devices that compute, and what is wrong with those that do not", .run = run_gpu_list },
	{ .name = "bench", .help = "how fast each hashes pages", .run = run_gpu_bench },
	{},
};

static const struct ctl_noun gpu = { .name = "gpu", .verbs = gpu_verbs };
const struct ctl_noun ctl_dedup = { .name = "dedup", .verbs = verbs, .undo = ksm_undo, .also = &gpu };
