// SPDX-License-Identifier: GPL-2.0
/* The nouns of nestorctl: those of the agent as a whole, and one or more of each room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/ctl/answer.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/lib/prom_parse.h"
#include "agent/lib/util.h"
#include "agent/nouns.h"
#include "agent/policy/policy.h"
#include "agent/reset.h"
#include "agent/rooms.h"
#include "agent/sections.h"

/* ---- policy ---- */

static int run_policy_show(const struct ctl *c)
{
	return ctl_answer(c, "policy", "", -1);
}

static int run_policy_check(const struct ctl *c)
{
	const char *path = c->args[0];
	struct policy_error error = {};
	struct policy *policy;

	if (policy_load(policy_sections, path, &policy, &error)) {
		if (c->json)
			puts("{\"valid\": false}");
		return log_error(EXIT_FAILURE, "%s", error.text);
	}
	policy_free(policy);
	if (c->json)
		puts("{\"valid\": true}");
	else
		printf("%s: good\n", path);
	return EXIT_SUCCESS;
}

static int run_policy_reload(const struct ctl *c)
{
	return ctl_answer(c, "reload", "", -1);
}

/* ---- metrics ---- */

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

static int run_metrics(const struct ctl *c)
{
	_free_ char *text = NULL;
	int status = ctl_answer_get(c, "metrics", "", -1, &text);

	if (!status && c->json)
		print_samples(text);
	else if (!status)
		ctl_answer_print(c, text);
	return status;
}

/* ---- the tables ---- */

static const struct ctl_verb policy_verbs[] = {
	{ .name = "show", .help = "the policy in force", .run = run_policy_show },
	{ .name = "check",
	  .args = "FILE",
	  .help = "look for errors in a policy file or directory; needs no agent",
	  .run = run_policy_check,
	  .offer = ctl_offer_files },
	{ .name = "reload", .help = "read the policy again now", .run = run_policy_reload },
	{},
};

#define ALONE(does, says)                                                                                                      \
	(const struct ctl_verb[])                                                                                              \
	{                                                                                                                      \
		{ .name = "", .help = (says), .run = (does) },                                                                 \
		{                                                                                                              \
		}                                                                                                              \
	}
#define RESET_HELP "forget all counters; without a running agent also take back the limits that it left in force"

#define DECLARE(stem) extern const struct ctl_noun ctl_##stem;
ROOMS(DECLARE)
#define OWN(noun, ...)                                                                                                         \
	&(const struct ctl_noun)                                                                                               \
	{                                                                                                                      \
		.name = (noun), .verbs = __VA_ARGS__                                                                           \
	}
#define ADDRESS(stem) &ctl_##stem,
const struct ctl_noun *const nouns[] = {
	OWN("rooms", ALONE(ctl_run_ask, "rooms, their state, and why one is down")),
	OWN("status", ALONE(ctl_run_ask, "the agent")),
	OWN("policy", policy_verbs),
	OWN("containers", ALONE(ctl_run_ask, "containers by name, their runtime and cgroup")),
	OWN("vms", ALONE(ctl_run_ask, "virtual machines and their processes")),
	OWN("top", ALONE(ctl_run_top, "rates per VM and container, as they change")),
	OWN("metrics", ALONE(run_metrics, "what Prometheus would get")),
	OWN("reset", ALONE(ctl_reset, RESET_HELP)),
	ROOMS(ADDRESS) NULL,
};
