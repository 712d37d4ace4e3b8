// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 5
 * lane: free
 * Sections of the policy: what each key of the real ones must have, and a made-up one, which is all that a new room needs.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/lib/units.h"
#include "agent/lib/util.h"
#include "agent/policy/internal.h"
#include "agent/policy/yaml.h"
#include "agent/sections.h"
#include "tests/harness/tap.h"

/* ---- a made-up section ---- */

static const char *const colours[] = { "red", "green" };

struct apple {
	char *name;
	__u32 colour; /* 1 + an index of colours; 0: not given */
	__u64 weight;
};

struct orchard {
	enum policy_mode mode;
	__u32 trees;
	__u64 water; /* bits per second */
	char *gate;
	struct apple *apples;
	unsigned int apples_count;
};

static const char *check_gate(const char *text)
{
	return strcmp(text, "open") != 0 ? NULL : "lets anybody in";
}

static const struct policy_key apple_keys[] = {
	{ GLOB(name, struct apple), .help = "Its name." },
	{ ENUM_OR_NONE(colour, struct apple, colours), .help = "Its colour." },
	{ SIZE(weight, struct apple, "1kB", "1MB"), .help = "Its weight." },
	{},
};

static const struct policy_key orchard_keys[] = {
	{ ENUM(mode, struct orchard, policy_modes), .usual = "off", .help = "Whether it is there." },
	{ UINT(trees, struct orchard, "number", "1", "9"), .usual = "3", .help = "How many trees." },
	{ RATE(water, struct orchard, "1Mbit", "2Mbit"), .or_zero = true, .usual = "0", .help = "Water.",
	  .example = "water: 1Mbit\n" },
	{ STRING(gate, struct orchard, "name", 10), .check = check_gate, .usual = "shut",
	  .help = "Its gate. It is a \\ or 'gate'." },
	{
		LIST_OF(apples, struct orchard, struct apple, apple_keys, 2),
		.all = "name",
		.some = "colour, weight",
		.usual = "- name: boskoop\n"
			 "  colour: red\n",
		.help = "The apples.",
	},
	{},
};

static const struct policy_section made_up = {
	.name = "orchard",
	.help = "Trees.",
	.size = sizeof(struct orchard),
	.keys = orchard_keys,
};

static const struct policy_section without_mode = {
	.name = "shed",
	.help = "Tools.",
	.size = sizeof(struct orchard),
	.keys = orchard_keys + 1,
};

static const struct policy_section *const sections[] = { &made_up, &without_mode, NULL };

static struct policy_source source = { .name = "file" };

/* @text over the defaults; NULL with @error filled in. */
static struct policy *read_over(const char *text, struct policy_error *error)
{
	struct policy *p = NULL;

	if (policy_load(sections, NULL, &p, error))
		return NULL;
	if (!policy_read_text(&source, text, strlen(text), p, error))
		return p;
	policy_free(p);
	return NULL;
}

static void test_made_up(void)
{
	struct policy_error error = {};
	struct policy *p =
		read_over("orchard: {trees: 9, apples: [{name: a, colour: green}, {name: b, weight: 2kB}]}\n", &error);
	const struct orchard *o;
	json_t *json;
	char *text;

	if (!ok(p != NULL, "section: a made-up section can be read"))
		return;
	o = policy_section(p, &made_up);
	is_u64(9, o->trees, "section: a key that is set has its value");
	is_str("shut", o->gate, "section: a key that is not set has its default");
	ok(o->apples_count == 2 && o->apples[0].colour == 2 && !o->apples[1].colour && o->apples[1].weight == 2000,
	   "section: a list has its entries");
	is_u64(MODE_OFF, policy_mode(p, &made_up), "section: the mode of a section is found");
	is_u64(MODE_MONITOR, policy_mode(p, &without_mode), "section: a section without a mode is on");
	json = policy_to_json(p);
	text = json_dumps(json_object_get(json, "orchard"), 0);
	is_str("{\"mode\": \"off\", \"trees\": 9, \"water\": 0, \"gate\": \"shut\", \"apples\": [{\"name\": \"a\", \"colour\": "
	       "\"green\"}, {\"name\": \"b\", \"weight\": 2000}]}",
	       text, "section: a section is shown as JSON");
	free(text);
	json_decref(json);
	policy_free(p);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "orchid: {}\n", "file:1:1: unknown section orchid; there are: orchard, shed" },
		{ "shed: {mode: off}\n", "file:1:8: unknown key shed.mode; shed has: trees, water, gate, apples" },
		{ "orchard: {trees: 10}\n", "file:1:18: orchard.trees: 10 is out of range; it may be 1 to 9" },
		{ "orchard: {water: 1kbit}\n",
		  "file:1:18: orchard.water: 1kbit is out of range; it may be 0, or 1Mbit to 2Mbit" },
		{ "orchard: {gate: open}\n", "file:1:17: orchard.gate: 'open' lets anybody in" },
		{ "orchard: {gate: much-too-long}\n", "file:1:17: orchard.gate: is longer than 10 characters" },
		{ "orchard: {mode: on}\n", "file:1:17: orchard.mode: 'on' is none of: off, monitor, enforce" },
		{ "orchard: {apples: [{colour: red}]}\n", "file:1:20: orchard.apples[0]: needs name" },
		{ "orchard: {apples: [{name: a}]}\n", "file:1:20: orchard.apples[0]: needs at least one of: colour, weight" },
		{ "orchard: {apples: [{size: 1}]}\n",
		  "file:1:21: unknown key orchard.apples[0].size; orchard.apples[0] has: name, colour, weight" },
		{ "orchard: {apples: [{name: a, weight: 1kB}, {name: b, weight: 1kB}, {name: c, weight: 1kB}]}\n",
		  "file:1:68: orchard.apples has more than 2 entries" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct policy_error error = {};

		ok(!read_over(bad[i].text, &error), "section: refused: %s", strtok(strdupa(bad[i].text), "\n"));
		is_str(bad[i].why, error.text, named("section: says why it refuses: %s", strtok(strdupa(bad[i].text), "\n")));
	}
}

static void test_yaml(void)
{
	static const char expected[] = "# Trees.\n"
				       "orchard:\n"
				       "  # Whether it is there.\n"
				       "  # Value: off | monitor | enforce\n"
				       "  mode: off\n"
				       "\n"
				       "  # How many trees.\n"
				       "  # Value: number, 1 to 9\n"
				       "  trees: 3\n"
				       "\n"
				       "  # Water.\n"
				       "  # Value: rate, 0 or 1Mbit to 2Mbit\n"
				       "  # For example:\n"
				       "  #   water: 1Mbit\n"
				       "  water: 0\n"
				       "\n"
				       "  # Its gate. It is a \\ or 'gate'.\n"
				       "  # Value: name\n"
				       "  gate: shut\n"
				       "\n"
				       "  # The apples.\n"
				       "  # An entry has name; at least one of colour, weight.\n"
				       "  #   name (glob): Its name.\n"
				       "  #   colour (red | green): Its colour.\n"
				       "  #   weight (size, 1kB to 1MB): Its weight.\n"
				       "  apples:\n"
				       "    - name: boskoop\n"
				       "      colour: red\n";
	const struct policy_section *const one[] = { &made_up, NULL };
	_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	policy_print_yaml(out, one);
	fclose(out);
	is_str(expected, strstr(text, "# Trees."), "section: policy.yaml explains a section");
}

/* ---- the real ones ---- */

/* What cannot be filled in by a macro that each key uses; "" if nothing is missing. */
static const char *lacks(const struct policy_key *key, bool in_list)
{
	__u64 min, max;

	if (!key->help || !strchr(".)", key->help[strlen(key->help) - 1]))
		return "help, a sentence";
	if (in_list ? key->usual != NULL : !key->usual)
		return in_list ? "no default, being in a list" : "a default";
	if (key->type == POLICY_WORD ? !key->nr_words : !key->what)
		return "what it may be";
	if (key->type == POLICY_NUMBER && (!key->min || !key->max || units_parse(key->min, key->units, &min) ||
					   units_parse(key->max, key->units, &max) || min >= max))
		return "a range";
	if (key->type == POLICY_STRING && !key->len_max)
		return "a length";
	return "";
}

static void test_keys(const char *section, const struct policy_key *keys, bool in_list)
{
	for (; keys->name; keys++) {
		const char *missing = lacks(keys, in_list);

		ok(!*missing, "section: %s.%s has help, a default and a range%s%s", section, keys->name,
		   *missing ? "; it lacks " : "", missing);
		if (keys->keys)
			test_keys(keys->name, keys->keys, true);
	}
}

static void test_real(void)
{
	struct policy_error error = {};
	struct policy *p;

	for (unsigned int i = 0; policy_sections[i]; i++) {
		ok(policy_sections[i]->help != NULL, "section: %s has help", policy_sections[i]->name);
		test_keys(policy_sections[i]->name, policy_sections[i]->keys, false);
	}
	if (ok(!policy_load(policy_sections, NULL, &p, &error), "section: the defaults are within the ranges"))
		policy_free(p);
	else
		printf("# %s\n", error.text);
}

/* A key that lacks something is found. */
static void test_lacks(void)
{
	const struct policy_key good = orchard_keys[1];
	struct policy_key key = good;

	is_str("", lacks(&good, false), "section: nothing is missing from a key that has all");
	key.help = NULL;
	is_str("help, a sentence", lacks(&key, false), "section: missing help is found");
	key = good;
	key.usual = NULL;
	is_str("a default", lacks(&key, false), "section: a missing default is found");
	key = good;
	key.max = NULL;
	is_str("a range", lacks(&key, false), "section: a missing range is found");
	key = good;
	key.min = "10MiB";
	is_str("a range", lacks(&key, false), "section: a range in a unit of another kind is found");
}

int main(void)
{
	test_made_up();
	test_refused();
	test_yaml();
	test_lacks();
	test_real();
	return done_testing();
}
