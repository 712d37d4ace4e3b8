// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/answer.h"
#include "agent/ctl/table.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

int ctl_answer_print(const struct ctl *c, const char *text)
{
	if (c->json)
		fputs(text, stdout);
	else
		ctl_print(text);
	return EXIT_SUCCESS;
}

int ctl_answer_json(const struct ctl *c, json_t *json)
{
	_free_ char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(json);
	if (!text)
		return EXIT_FAILURE;
	ctl_answer_print(c, text);
	if (c->json)
		putchar('\n');
	return EXIT_SUCCESS;
}

int ctl_answer_get(const struct ctl *c, const char *command, const char *arg, int file, char **ret_text)
{
	_free_ char *text = NULL;
	int status, err;

	err = ctl_ask(&c->agent, command, arg, file, &status, &text);
	if (err)
		return ctl_no_agent(&c->agent, err);
	if (status)
		return log_error(EXIT_FAILURE, "%s", *text ? text : strerror(-status));
	*ret_text = text;
	text = NULL;
	return EXIT_SUCCESS;
}

int ctl_answer(const struct ctl *c, const char *command, const char *arg, int file)
{
	_free_ char *text = NULL;

	return ctl_answer_get(c, command, arg, file, &text) ?: ctl_answer_print(c, text);
}

int ctl_answer_usage(const char *fmt, ...)
{
	_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return log_error(EXIT_USAGE, "%s; see nestorctl --help", n < 0 ? "wrong arguments" : text);
}

int ctl_run_ask(const struct ctl *c)
{
	return ctl_answer(c, c->noun->name, "", -1);
}

int ctl_run_show(const struct ctl *c)
{
	return ctl_answer(c, "show", c->noun->name, -1);
}
