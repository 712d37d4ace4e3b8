/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a section of the policy is described: agent/<stem>/policy.c exports one `const struct policy_section policy_<stem>`.
 * All that Nestor knows of a key stands in its entry there. Checking, reading, merging, freeing and showing follow from it,
 * and so do the built-in policy, policy.yaml (agent/policy/yaml.c) and the keys in nestor-policy(5) (agent/generate.c).
 *
 *	static const struct policy_key keys[] = {
 *		{ ENUM(mode, struct x_policy, policy_modes), .usual = "off", .help = "Whether to do it." },
 *		{ SIZE(memory, struct x_policy, "1MiB", "1TiB"), .or_zero = true, .usual = "0", .help = "What it may hold." },
 *		{},
 *	};
 *	const struct policy_section policy_x = { .name = "x", .help = "…", .size = sizeof(struct x_policy), .keys = keys };
 */
#ifndef NESTOR_SECTION_H
#define NESTOR_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/types.h>

#include "agent/lib/units.h"
#include "agent/lib/util.h"
#include "agent/lib/yaml_index.h"
#include "agent/policy/policy.h"

#define POLICY_GLOB_MAX 191 /* bytes */
#define POLICY_PATH_MAX 1023

enum policy_type { POLICY_WORD, POLICY_NUMBER, POLICY_STRING, POLICY_PORTS, POLICY_LIST, POLICY_MAP };

struct policy_key {
	const char *name; /* NULL ends the keys */
	enum policy_type type;
	const char *what; /* the kind of value and its unit, for people: "size" */
	size_t offset; /* in the struct */
	size_t size; /* of a number: 4 or 8 bytes; of an entry of a list, its struct or a pointer to its text */

	/* POLICY_WORD */
	const char *const *words;
	unsigned int nr_words;
	unsigned int first; /* value of words[0]; 1: 0 stands for a word that is not given */

	/* POLICY_NUMBER */
	const cyaml_strval_t *units;
	const char *min, *max; /* as written in a policy */
	bool or_zero; /* 0 is good, too */

	/* POLICY_STRING, and a list of such */
	uint32_t len_max; /* bytes; the least is 1 */
	/* NULL, or: what is wrong with @text, which has at most YAML_TEXT_MAX - 1 bytes of it; NULL: nothing */
	const char *(*check)(const char *text);

	/* POLICY_LIST */
	size_t count_offset; /* of an unsigned int */
	uint32_t entries_max;
	/* Of an entry; NULL: entries are strings. Or POLICY_MAP: of the struct, of which a file that has the key sets all. */
	const struct policy_key *keys;
	const char *one, *all, *some; /* "a, b": an entry needs exactly one of these, all of these, at least one of these */

	const char *usual; /* default, in YAML; NULL in entries of lists, which have none: 0 or NULL is what is not given */
	const char *help; /* sentences; from the second on they may say what other keys or files it has to do with */
	const char *example; /* NULL, or lines of YAML */
};

struct policy_section {
	const char *name;
	const char *help;
	size_t size; /* of the struct */
	const struct policy_key *keys;
};

/*
 * Entries of a table of keys: the member @key of @structure. Numbers are __u32 or __u64, strings char *, and NULL where an
 * entry of a list has none.
 */
#define MEMBER(key, structure) .name = #key, .offset = offsetof(structure, key), .size = sizeof(((structure *)0)->key)

/* An enum whose values count from 0, of which @strings are the names. */
#define ENUM(key, structure, strings)                                                                                          \
	MEMBER(key, structure), .type = POLICY_WORD, .words = (strings), .nr_words = ARRAY_SIZE(strings)
/* In an entry: a __u32 that is 1 more than the enum's value; 0: not given. */
#define ENUM_OR_NONE(key, structure, strings) ENUM(key, structure, strings), .first = 1

#define UNITS(key, structure, kind, table, least, most)                                                                        \
	MEMBER(key, structure), .type = POLICY_NUMBER, .what = (kind), .units = (table), .min = (least), .max = (most)
/* A number without a unit in the file; @kind says what is counted: "seconds". */
#define UINT(key, structure, kind, least, most) UNITS(key, structure, kind, units_plain, least, most)
#define SIZE(key, structure, least, most) UNITS(key, structure, "size", units_sizes, least, most) /* bytes */
#define RATE(key, structure, least, most) UNITS(key, structure, "rate", units_rates, least, most) /* bits a second */
#define DURATION(key, structure, least, most)                                                                                  \
	UNITS(key, structure, "duration", units_durations, least, most) /* nanoseconds                                         \
									 */

#define STRING(key, structure, kind, most) MEMBER(key, structure), .type = POLICY_STRING, .what = (kind), .len_max = (most)
#define GLOB(key, structure) STRING(key, structure, "glob", POLICY_GLOB_MAX)

/* The __u32 @key, and one after it for the last port of a range; 0: one port. */
#define PORTS(key, structure) MEMBER(key, structure), .type = POLICY_PORTS, .what = "port or range", .min = "1", .max = "65535"

/* A pointer to an array, with its length in the unsigned int key_count. Entries are structs with @entry_keys, ... */
#define LIST_AS(key, structure, kind, entry, entry_keys, most)                                                                 \
	.name = #key, .type = POLICY_LIST, .what = (kind), .offset = offsetof(structure, key), .size = sizeof(entry),          \
	.count_offset = offsetof(structure, key##_count), .entries_max = (most), .keys = (entry_keys)
#define LIST_OF(key, structure, entry, entry_keys, most) LIST_AS(key, structure, "list", entry, entry_keys, most)
#define LIST(key, structure, entry, entry_keys) LIST_OF(key, structure, entry, entry_keys, UINT32_MAX)
/* ... or globs. */
#define GLOBS(key, structure) LIST_AS(key, structure, "list of globs", char *, NULL, UINT32_MAX), .len_max = POLICY_GLOB_MAX

/* The struct @key in @structure. */
#define MAP(key, structure, map_keys) MEMBER(key, structure), .type = POLICY_MAP, .what = "keys", .keys = (map_keys)

/* Names of enum policy_mode; the first two for rooms that only observe. */
#define POLICY_MODES 3
extern const char *const policy_modes[POLICY_MODES];

#endif
