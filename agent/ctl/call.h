/* SPDX-License-Identifier: GPL-2.0 */
/* Which verb of which noun the user means. */
#ifndef NESTOR_CTL_CALL_H
#define NESTOR_CTL_CALL_H

#include "agent/ctl/noun.h"

/* Runs the verb that @words are. An exit status; says what is wrong. */
int ctl_call(struct ctl *c, char *const *words, size_t nr);

/* NULL: there is none of that name. */
const struct ctl_noun *ctl_find_noun(const struct ctl *c, const char *name);
/* The verb that @words, behind the noun, begin with, and how many of them it is; NULL: none. */
const struct ctl_verb *ctl_find_verb(const struct ctl_noun *noun, char *const *words, size_t nr, size_t *ret_nr);

/* Word number @i of a verb's name, *@ret_len bytes long; NULL: it has fewer. */
const char *ctl_verb_word(const struct ctl_verb *verb, size_t i, size_t *ret_len);
/* How many of @words a verb's name begins with. */
size_t ctl_verb_begins(const struct ctl_verb *verb, char *const *words, size_t nr);

#endif
