// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 2048
 * The whole loader of policies, but for the files themselves: text, index, checks, struct, JSON, and back.
 */
#include <errno.h>

#include "agent/blkio/policy.h"
#include "agent/dedup/policy.h"
#include "agent/gpufn/policy.h"
#include "agent/net/policy.h"
#include "agent/policy/agent.h"
#include "agent/policy/internal.h"
#include "agent/sections.h"
#include "tests/fuzz/fuzz.h"

#define NAME "policy.yaml"

/* 1.5 MiB: made once. */
static struct policy_source source = { .name = NAME }, again = { .name = NAME };

/* The least that is a policy: one without lists. policy_free() takes it. */
static struct policy *start(void)
{
	struct policy *p = policy_new(policy_sections);
	struct agent_policy *agent;
	struct dedup_policy *dedup;
	struct gpufn_policy *gpufn;

	MUST(p);
	agent = (struct agent_policy *)policy_section(p, &policy_agent);
	dedup = (struct dedup_policy *)policy_section(p, &policy_dedup);
	gpufn = (struct gpufn_policy *)policy_section(p, &policy_gpufn);
	agent->max_containers = dedup->cpu = gpufn->queue = 1; /* may not be 0 */
	dedup->interval = gpufn->slice_limit = 1000000000;
	gpufn->memory = 1024 * 1024;
	return p;
}

/* "NAME:LINE:COLUMN: why", in words that a terminal can show. */
static void check_error(int err, const struct policy_error *error)
{
	size_t line = 0, column = 0, len = strlen(NAME);
	int end = 0;

	MUST(err == -EINVAL);
	MUST(!strncmp(error->text, NAME, len));
	MUST(sscanf(error->text + len, ":%zu:%zu: %n", &line, &column, &end) == 2 && end);
	MUST(line && column && error->text[len + (size_t)end]);
	MUST(!has_control(error->text));
}

/*
 * libcyaml is asked last, and its words are not for an operator: it may find nothing to refuse. To know takes a second look at
 * the text, which is done for every eighth size only.
 */
static void check_who_refused(const char *text, size_t len, const struct policy_error *error)
{
	struct policy_error checked = {};
	struct yaml_place place;
	char why[256] = "";

	if (len % 8 || (policy_check(policy_sections, &source, &checked) && !strcmp(checked.text, error->text)))
		return;
	MUST(yaml_index(text, len, &again.index, &place, why, sizeof(why)));
}

/* Times have no meaning without a unit; in JSON they are nanoseconds. */
static void add_unit(json_t *object, const char *key)
{
	json_t *ns = json_object_get(object, key);

	MUST(json_is_integer(ns));
	json_object_set_new(object, key, json_sprintf("%" JSON_INTEGER_FORMAT "ns", json_integer_value(ns)));
}

static void add_units(json_t *policy)
{
	json_t *targets = json_object_get(json_object_get(policy, "blkio"), "targets"), *target;
	size_t i;

	json_array_foreach (targets, i, target)
		add_unit(target, "p99");
	add_unit(json_object_get(policy, "dedup"), "interval");
	add_unit(json_object_get(policy, "gpufn"), "slice_limit");
}

/* A weight of 0 is not shown, but a pool needs one. */
static void add_weights(json_t *policy)
{
	json_t *pools = json_object_get(json_object_get(policy, "cache"), "pools"), *pool;
	size_t i;

	json_array_foreach (pools, i, pool)
		if (!json_object_get(pool, "memory"))
			json_object_set_new(pool, "memory", json_integer(0));
}

/* JSON is YAML, if what it says is plain: a policy that was shown can be given back, and is the same. */
static void check_round_trip(const json_t *shown)
{
	struct policy *p = start();
	json_t *units = json_deep_copy(shown), *json;
	struct policy_error error = {};
	char *text;

	add_units(units);
	add_weights(units);
	text = json_dumps(units, JSON_ENSURE_ASCII);
	if (!has_control(text) && !strstr(text, "\\u")) {
		MUST(!policy_read_text(&again, text, strlen(text), p, &error));
		json = policy_to_json(p);
		MUST(json_equal(json, shown));
		json_decref(json);
	}
	free(text);
	json_decref(units);
	policy_free(p);
}

/* As nestor-policy(5) has them. */
static void check_names(const char *container, const char *vm, bool migration, const char *device)
{
	MUST(!container + !vm + !migration == 2);
	MUST(!container || (*container && strlen(container) < 192));
	MUST(!vm || (*vm && strlen(vm) < 192));
	MUST(!device || (*device && strlen(device) < 32 && !strchr(device, '/')));
}

static void check_blkio(const struct blkio_policy *p)
{
	MUST(p->mode <= MODE_ENFORCE);
	for (unsigned int i = 0; i < p->limits_count; i++) {
		const struct blkio_limit *l = &p->limits[i];

		check_names(l->container, l->vm, false, l->device);
		MUST(l->device && (l->read || l->write || l->read_iops || l->write_iops || l->weight) && l->weight <= 10000);
		MUST((!l->read || l->read >= 1000) && l->read <= 1000000000000 && l->read_iops <= 1000000000);
	}
	for (unsigned int i = 0; i < p->targets_count; i++) {
		const struct blkio_target *t = &p->targets[i];

		check_names(t->container, t->vm, false, t->device);
		MUST(t->device && t->p99 >= 10000 && t->p99 <= 60000000000);
	}
}

static void check_net(const struct net_policy *p)
{
	MUST(p->mode <= MODE_ENFORCE && (!p->link || p->link >= 1000000) && p->link <= 10000000000000);
	for (unsigned int i = 0; i < p->limits_count; i++) {
		const struct net_limit *l = &p->limits[i];

		check_names(l->container, l->vm, l->migration != 0, NULL);
		MUST(l->migration <= MIGRATION_KINDS);
		MUST((l->egress || l->ingress || l->weight) && l->weight <= 10000);
		MUST((!l->egress || l->egress >= 8000) && l->egress <= 10000000000000);
	}
	for (unsigned int i = 0; i < p->migration_count; i++) {
		const struct net_migration *m = &p->migration[i];

		MUST(m->kind < MIGRATION_KINDS && (m->process || m->container || m->port || m->mark));
		MUST(m->port <= 65535 && m->port_last <= 65535 && (!m->port_last || m->port_last >= m->port));
	}
}

static void check_agent(const struct agent_policy *p)
{
	MUST(p->max_containers >= 1 && p->max_containers <= 1000);
	MUST(p->linger <= 86400 && p->min_age <= 86400);
	MUST(p->log_level <= LOG_LEVEL_DEBUG && p->self_stats <= BPF_STATS_ON);
	for (unsigned int i = 0; i < p->include_count; i++)
		MUST(*p->include[i] && strlen(p->include[i]) < 192);
	for (unsigned int i = 0; i < p->exclude_count; i++)
		MUST(*p->exclude[i] && strlen(p->exclude[i]) < 192);
}

static void check_json(const struct policy *p)
{
	json_t *json = policy_to_json(p), *read;
	char *text = json_dumps(json, 0);

	MUST(text);
	read = json_loads(text, 0, NULL);
	MUST(read && json_equal(read, json));
	check_round_trip(json);
	json_decref(read);
	free(text);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_error error = {};
	struct policy *p = start();
	int err;

	err = policy_read_text(&source, (const char *)data, size, p, &error);
	if (err) {
		check_error(err, &error);
		check_who_refused((const char *)data, size, &error);
	} else {
		check_agent(policy_section(p, &policy_agent));
		check_blkio(policy_section(p, &policy_blkio));
		check_net(policy_section(p, &policy_net));
		check_json(p);
	}
	policy_free(p);
	return 0;
}
