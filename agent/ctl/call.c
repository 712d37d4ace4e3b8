// SPDX-License-Identifier: GPL-2.0
#include <stdint.h>
#include <string.h>

#include "agent/ctl/answer.h"
#include "agent/ctl/call.h"
#include "agent/lib/buf.h"
#include "agent/lib/log.h"

const char *ctl_verb_word(const struct ctl_verb *verb, size_t i, size_t *ret_len)
{
	const char *word = verb->name;

	for (; i && *word; i--) {
		word += strcspn(word, " ");
		word += *word == ' ';
	}
	*ret_len = strcspn(word, " ");
	return *ret_len ? word : NULL;
}

size_t ctl_verb_begins(const struct ctl_verb *verb, char *const *words, size_t nr)
{
	const char *word;
	size_t i = 0, len;

	while (i < nr && (word = ctl_verb_word(verb, i, &len)) && strlen(words[i]) == len && !memcmp(words[i], word, len))
		i++;
	return i;
}

static size_t count_words(const struct ctl_verb *verb)
{
	size_t n = 0, len;

	while (ctl_verb_word(verb, n, &len))
		n++;
	return n;
}

const struct ctl_noun *ctl_find_noun(const struct ctl *c, const char *name)
{
	ctl_for_each_noun (noun, c)
		if (!strcmp(noun->name, name))
			return noun;
	return NULL;
}

const struct ctl_verb *ctl_find_verb(const struct ctl_noun *noun, char *const *words, size_t nr, size_t *ret_nr)
{
	for (const struct ctl_verb *v = noun->verbs; v->name; v++) {
		*ret_nr = count_words(v);
		if (ctl_verb_begins(v, words, nr) == *ret_nr)
			return v;
	}
	return NULL;
}

/* "DIR [SECONDS]": 1 or 2; "NAME...": 1 or more. */
static bool is_number_of(const char *args, size_t nr)
{
	size_t min = 0, max = 0;

	for (const char *arg = args ?: ""; *arg;) {
		size_t len = strcspn(arg, " ");

		min += *arg != '[';
		max = len > 3 && !memcmp(arg + len - 3, "...", 3) ? SIZE_MAX : max + 1;
		arg += len;
		arg += *arg == ' ';
	}
	return nr >= min && nr <= max;
}

/* ---- what is said of wrong words ---- */

/* How many words are right, before a list of what may follow: of "policy frob" one, if there is a verb "policy load". */
static size_t common_words(const struct ctl_noun *noun, char *const *words, size_t nr)
{
	size_t most = 0;

	for (const struct ctl_verb *v = noun->verbs; v->name; v++) {
		size_t n = ctl_verb_begins(v, words, nr), all = count_words(v);

		n = n && n == all ? n - 1 : n;
		most = n > most ? n : most;
	}
	return most;
}

/* Of a verb whose word is followed by more, that word. */
static void add_choice(struct buf *b, const struct ctl_verb *v, size_t depth, bool is_last)
{
	const char *args = v->args ?: "", *word;
	size_t len;

	word = ctl_verb_word(v, depth, &len);
	buf_printf(b, "%s%.*s", !b->len ? "" : is_last ? " or " : ", ", (int)len, word ?: "");
	if (!ctl_verb_word(v, depth + 1, &len) && *args)
		buf_printf(b, "%s%s", word ? " " : "", args);
}

static bool same_word(const struct ctl_verb *a, const struct ctl_verb *b, size_t i)
{
	size_t a_len, b_len;
	const char *a_word = ctl_verb_word(a, i, &a_len), *b_word = ctl_verb_word(b, i, &b_len);

	return a_word && b_word && a_len == b_len && !memcmp(a_word, b_word, a_len);
}

static const struct ctl_verb *next_choice(const struct ctl_noun *noun, const struct ctl_verb *last, char *const *words,
					  size_t depth)
{
	for (const struct ctl_verb *v = last ? last + 1 : noun->verbs; v->name; v++)
		if (ctl_verb_begins(v, words, depth) == depth && !(last && same_word(last, v, depth)))
			return v;
	return NULL;
}

static int wrong_words(const struct ctl_noun *noun, char *const *words, size_t nr)
{
	size_t depth = common_words(noun, words, nr);
	struct buf b = {}, before = {};
	const struct ctl_verb *v = next_choice(noun, NULL, words, depth), *next;
	int status;

	for (size_t i = 0; i < depth; i++)
		buf_printf(&before, " %s", words[i]);
	for (; v; v = next) {
		next = next_choice(noun, v, words, depth);
		add_choice(&b, v, depth, !next);
	}
	status = ctl_answer_usage("%s%s takes %s", noun->name, before.text ?: "", b.len ? b.text : "no argument");
	buf_free(&before);
	buf_free(&b);
	return status;
}

/* "--a, --b and --c are for top and NOUN top alone", as the tables have it. */
static int wrong_options(const struct ctl *c)
{
	const struct ctl_option *last = NULL;
	struct buf b = {};
	int status;

	for (const struct ctl_option *o = c->options; o->name; o++)
		last = o->of_top ? o : last;
	for (const struct ctl_option *o = c->options; o->name; o++)
		if (o->of_top)
			buf_printf(&b, "%s--%s", !b.len ? "" : o == last ? " and " : ", ", o->name);
	buf_str(&b, " are for ");
	ctl_for_each_noun (noun, c)
		for (const struct ctl_verb *v = noun->verbs; v->name; v++)
			if (v->run == ctl_run_top)
				buf_printf(&b, "%s%s%s%s", v->columns ? " and " : "", noun->name, *v->name ? " " : "", v->name);
	status = ctl_answer_usage("%s alone", b.text ?: "");
	buf_free(&b);
	return status;
}

/* A room may be there that only the agent knows. */
static int call_unknown(const struct ctl *c, char *const *words, size_t nr)
{
	if (nr == 2 && !strcmp(words[1], "show"))
		return ctl_answer(c, "show", words[0], -1);
	return ctl_answer_usage("there is no command %s%s%s", words[0], nr > 1 ? " " : "", nr > 1 ? words[1] : "");
}

int ctl_call(struct ctl *c, char *const *words, size_t nr)
{
	size_t used;

	if (!nr)
		return ctl_answer_usage("a command is missing");
	c->noun = ctl_find_noun(c, words[0]);
	if (!c->noun)
		return call_unknown(c, words, nr);
	c->verb = ctl_find_verb(c->noun, words + 1, nr - 1, &used);
	if (!c->verb || !is_number_of(c->verb->args, nr - 1 - used))
		return wrong_words(c->noun, words + 1, nr - 1);
	if (c->has_top_options && c->verb->run != ctl_run_top)
		return wrong_options(c);
	c->args = words + 1 + used;
	c->nr_args = nr - 1 - used;
	return c->verb->run(c);
}
