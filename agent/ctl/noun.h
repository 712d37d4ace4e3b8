/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What nestorctl can do, as tables: each room's agent/<stem>/ctl.c exports one `const struct ctl_noun ctl_<stem>`. Usage,
 * what is said of wrong arguments, completion and the columns of top are made of them.
 */
#ifndef NESTOR_CTL_NOUN_H
#define NESTOR_CTL_NOUN_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/ctl/ask.h"
#include "agent/ctl/top.h"

struct ctl;
struct ctl_offers;

struct ctl_verb {
	const char *name; /* words behind the noun: "attach", "policy load"; "": the noun alone. NULL ends a list */
	const char *args; /* NULL, or as usage has them, which says how many there may be: "DIR [SECONDS]", "NAME..." */
	const char *help; /* NULL: usage has no line for it */
	int (*run)(const struct ctl *c); /* c->args are as many as there may be; returns an exit status */
	void (*offer)(const struct ctl_offers *o); /* NULL, or: offers what the first argument may be */
	const struct top_column *columns; /* of ctl_run_top(); NULL: those that nouns add to `nestorctl top` */
};

struct ctl_noun {
	const char *name; /* of a room its stem */
	const struct ctl_verb *verbs;
	const struct top_column *columns; /* NULL, or what a room adds to `nestorctl top` */
	int place; /* of these columns: the lower, the further left */
	int (*undo)(int run_dir); /* NULL, or for `nestorctl reset`: undoes what a former agent left in force. 0 or -errno,
				     logged */
	const struct ctl_noun *also; /* NULL, or another noun of the same room */
};

struct ctl_option {
	const char *name; /* NULL ends a list */
	const char *arg; /* NULL: has none */
	const char *help; /* NULL: the keys of all tables */
	int letter; /* to know it by */
	bool of_top; /* for ctl_run_top() alone */
	void (*offer)(const struct ctl_offers *o); /* as a verb's, of its argument */
};

/* A call of nestorctl. */
struct ctl {
	const struct ctl_noun *const *nouns; /* the core's, then the rooms'; ended by NULL */
	const struct ctl_option *options;
	struct ctl_agent agent;
	const char *bpffs;
	bool json;
	bool has_top_options;
	struct top_options top;
	const struct ctl_noun *noun;
	const struct ctl_verb *verb;
	char *const *args;
	size_t nr_args;
};

#define ctl_for_each_noun(noun, c)                                                                                             \
	for (const struct ctl_noun *const *at = (c)->nouns; *at; at++)                                                         \
		for (const struct ctl_noun *noun = *at; noun; noun = noun->also)

/* ---- for run() of verbs ---- */

/* What a room has measured. Each room has this verb. */
int ctl_run_show(const struct ctl *c);
#define CTL_SHOW                                                                                                               \
	{                                                                                                                      \
		.name = "show", .run = ctl_run_show                                                                            \
	}

/* Asks for the noun, prints the answer. */
int ctl_run_ask(const struct ctl *c);

/* On the terminal, as tables, or as JSON, until the user ends it. */
int ctl_run_top(const struct ctl *c);

/* ---- for offer() of verbs and options ---- */

struct ctl_offers {
	const struct ctl *c; /* what was typed before; .args are the noun's words */
	const char *typed; /* the beginning of the word that is wanted */
};

void ctl_offer(const struct ctl_offers *o, const char *word);
void ctl_offer_files(const struct ctl_offers *o);
void ctl_offer_directories(const struct ctl_offers *o);
void ctl_offer_keys(const struct ctl_offers *o); /* columns of the table of the verb */

#endif
