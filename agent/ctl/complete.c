// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/ctl/call.h"
#include "agent/ctl/complete.h"
#include "agent/ctl/top_columns.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define ANSWER_TIMEOUT_MS 500 /* somebody waits who has pressed a key */

void ctl_offer(const struct ctl_offers *o, const char *word)
{
	if (!strncmp(word, o->typed, strlen(o->typed)))
		puts(word);
}

void ctl_offer_files(const struct ctl_offers *o)
{
	(void)o;
	puts(":file");
}

void ctl_offer_directories(const struct ctl_offers *o)
{
	(void)o;
	puts(":directory");
}

void ctl_offer_keys(const struct ctl_offers *o)
{
	struct top_table *table = top_table_new(o->c->nouns, o->c->noun, o->c->verb);

	for (int i = 0; table && i < top_keys(table); i++)
		ctl_offer(o, table->columns[i].key);
	top_table_free(table);
}

/* Those of the agent that answers at once. NULL: none does. */
static json_t *ask_rooms(const struct ctl *c)
{
	struct ctl_agent agent = { c->agent.run_dir, ANSWER_TIMEOUT_MS };
	_free_ char *text = NULL;
	int status;

	if (ctl_ask(&agent, "rooms", "", -1, &status, &text) || status)
		return NULL;
	return json_loads(text, 0, NULL);
}

static void offer_nouns(const struct ctl_offers *o)
{
	json_t *rooms = ask_rooms(o->c);
	const json_t *room;
	size_t i;

	ctl_for_each_noun (noun, o->c)
		if (!rooms || noun->verbs->run != ctl_run_show)
			ctl_offer(o, noun->name);
	json_array_foreach (rooms, i, room)
		ctl_offer(o, json_string_value(json_object_get(room, "room")) ?: "");
	json_decref(rooms);
}

/* The next word of verbs that begin as the ones typed, or the argument of the one that is whole. */
static void offer_verbs(const struct ctl_offers *o, char *const *words, size_t nr)
{
	const char *word, *last = NULL;
	char text[64];
	size_t len;

	for (const struct ctl_verb *v = o->c->noun->verbs; v->name; v++) {
		if (ctl_verb_begins(v, words, nr) < nr)
			continue;
		word = ctl_verb_word(v, nr, &len);
		if (!word && v->offer)
			v->offer(o);
		if (!word || (last && !strncmp(last, word, len)))
			continue;
		last = word;
		snprintf(text, sizeof(text), "%.*s", (int)len, word);
		ctl_offer(o, text);
	}
}

static bool is_for(const struct ctl *c, const struct ctl_option *o)
{
	return !o->of_top || !c->nr_args || (c->verb && c->verb->run == ctl_run_top);
}

static void offer_options(const struct ctl_offers *o)
{
	char text[64];

	for (const struct ctl_option *option = o->c->options; option->name; option++) {
		snprintf(text, sizeof(text), "--%s", option->name);
		if (is_for(o->c, option))
			ctl_offer(o, text);
	}
}

static const struct ctl_option *find_option(const struct ctl *c, const char *word)
{
	for (const struct ctl_option *o = c->options; o->name; o++)
		if (!strncmp(word, "--", 2) && !strcmp(word + 2, o->name))
			return o;
	return NULL;
}

/* Keeps the words that are neither options nor their values; the option whose value the last one is, or NULL. */
static const struct ctl_option *sort_words(struct ctl *c, char *const *words, size_t nr, char **kept, size_t *ret_nr)
{
	*ret_nr = 0;
	for (size_t i = 0; i + 1 < nr; i++) {
		const struct ctl_option *o = find_option(c, words[i]);

		if (o && o->arg && i + 2 == nr)
			return o;
		if (o && !strcmp(o->name, "run-dir"))
			c->agent.run_dir = words[i + 1];
		if (o && o->arg)
			i++;
		else if (*words[i] != '-')
			kept[(*ret_nr)++] = words[i];
	}
	return NULL;
}

int ctl_complete(struct ctl *c, char *const *words, size_t nr)
{
	struct ctl_offers o = { c, nr ? words[nr - 1] : "" };
	_free_ char **kept = calloc(nr + 1, sizeof(*kept));
	const struct ctl_option *option;
	size_t n, used;

	if (!kept)
		return log_error(EXIT_FAILURE, "out of memory");
	option = sort_words(c, words, nr, kept, &n);
	c->args = kept;
	c->nr_args = n;
	c->noun = n ? ctl_find_noun(c, kept[0]) : NULL;
	c->verb = c->noun ? ctl_find_verb(c->noun, kept + 1, n - 1, &used) : NULL;
	if (option && option->offer)
		option->offer(&o);
	else if (!option && *o.typed == '-')
		offer_options(&o);
	else if (!option && !n)
		offer_nouns(&o);
	else if (!option && c->noun)
		offer_verbs(&o, kept + 1, n - 1);
	else if (!option && n == 1) /* a room that only the agent knows */
		ctl_offer(&o, "show");
	return EXIT_SUCCESS;
}
