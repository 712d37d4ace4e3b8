/* SPDX-License-Identifier: GPL-2.0 */
/* What an agent answers, and what nestorctl finds out itself, printed as the user wants it. All return an exit status. */
#ifndef NESTOR_CTL_ANSWER_H
#define NESTOR_CTL_ANSWER_H

#include <jansson.h>

#include "agent/ctl/noun.h"

/* @text is JSON. */
int ctl_answer_print(const struct ctl *c, const char *text);
/* Takes @json, which may be NULL: what is wrong has been said. */
int ctl_answer_json(const struct ctl *c, json_t *json);

/* Asks the agent; @file goes with it unless it is -1. *@ret_text is to be freed. Says what is wrong. */
int ctl_answer_get(const struct ctl *c, const char *command, const char *arg, int file, char **ret_text);
/* The same, and prints it. */
int ctl_answer(const struct ctl *c, const char *command, const char *arg, int file);

/* Says what is wrong with the arguments, and where to read about them. */
int ctl_answer_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
