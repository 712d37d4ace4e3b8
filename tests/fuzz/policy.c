// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 2048
 * The whole loader of policies, but for the files themselves: text, index, checks, struct, JSON, and back.
 */
#include <errno.h>

#include "agent/policykeys.h"
#include "tests/fuzz/fuzz.h"

#define NAME "policy.yaml"

/* 1.5 MiB: made once. */
static struct policy_source source = { .name = NAME }, again = { .name = NAME };

/* The least that is a policy: one without lists. policy_free() takes it. */
static struct policy *start(void)
{
	struct policy *p = calloc(1, sizeof(*p));

	MUST(p);
	p->agent.max_containers = 1; /* may not be 0 */
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

	if (len % 8 || (policy_check(&source, &checked) && !strcmp(checked.text, error->text)))
		return;
	MUST(yaml_index(text, len, &again.index, &place, why, sizeof(why)));
}

/* Times have no meaning without a unit; in JSON they are nanoseconds. */
static void add_units(json_t *policy)
{
	json_t *targets = json_object_get(json_object_get(policy, "blkio"), "targets"), *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		json_t *p99 = json_object_get(target, "p99");

		MUST(json_is_integer(p99));
		json_object_set_new(target, "p99", json_sprintf("%" JSON_INTEGER_FORMAT "ns", json_integer_value(p99)));
	}
}

/* JSON is YAML, if what it says is plain: a policy that was shown can be given back, and is the same. */
static void check_round_trip(const json_t *shown)
{
	struct policy *p = start();
	json_t *units = json_deep_copy(shown), *json;
	struct policy_error error = {};
	char *text;

	add_units(units);
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

static void check_policy(const struct policy *p)
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
		check_policy(p);
	}
	policy_free(p);
	return 0;
}
