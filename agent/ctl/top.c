// SPDX-License-Identifier: GPL-2.0
/* Tables of rates: their options, and their output as plain text or JSON. agent/ctl/top_screen.c is the terminal's. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/ctl/noun.h"
#include "agent/ctl/top.h"
#include "agent/ctl/top_cell.h"
#include "agent/ctl/top_columns.h"
#include "agent/lib/buf.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define ANSWER_TIMEOUT_MS 2000 /* keys wait for it */

/* ---- options ---- */

int top_set_interval(struct top_options *o, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= TOP_INTERVAL_MIN && value <= TOP_INTERVAL_MAX))
		return log_error(EXIT_USAGE, "--interval %s: must be seconds, %g to %d", text, TOP_INTERVAL_MIN,
				 TOP_INTERVAL_MAX);
	o->interval = value;
	return 0;
}

static int set_order(struct top_options *o)
{
	struct buf keys = {};

	o->order.key = o->sort ? top_find_key(o->table, o->sort) : top_default_key(o->table);
	if (o->order.key >= 0)
		return 0;
	for (int i = 0; i < top_keys(o->table); i++)
		buf_printf(&keys, "%s%s", i ? ", " : "", o->table->columns[i].key);
	log_error(0, "--sort %s: must be one of %s", o->sort, keys.text ?: "");
	buf_free(&keys);
	return EXIT_USAGE;
}

int top_set_count(struct top_options *o, const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1)
		return log_error(EXIT_USAGE, "--count %s: must be a number from 1 on", text);
	o->count = (unsigned long)value;
	return 0;
}

/* ---- output without a screen ---- */

static json_t *row_json(const struct top_table *table, const struct top_row *row, double interval)
{
	json_t *json = json_pack("{s:o, s:o, s:f}", "vm", json_text(row->vm), "container", json_text(row->container),
				 "interval_seconds", interval);

	for (int i = 0; i < table->nr; i++)
		json_object_set_new(json, table->columns[i].json,
				    isnan(row->values[i]) ? json_null() : json_real(row->values[i]));
	return json;
}

static void print_json(const struct top_table *table, const struct top_row *rows, size_t nr, double interval, bool once)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, row_json(table, &rows[i], interval));
	text = json_dumps(list, once ? JSON_INDENT(2) : JSON_COMPACT);
	if (text)
		puts(text);
	free(text);
	json_decref(list);
}

static void print_name(const char *name, int width)
{
	char text[TOP_CELL_MAX];
	int columns;

	top_name(name, TOP_CELL_MAX, text, sizeof(text), &columns);
	printf("%s%*s  ", *text ? text : "-", width - (*text ? columns : 1), "");
}

/* Columns of the widest name, and of the title. */
static int name_width(const char *title, const struct top_row *rows, size_t nr, bool vm)
{
	int width = (int)strlen(title), columns;
	char text[TOP_CELL_MAX];

	for (size_t i = 0; i < nr; i++) {
		top_name(vm ? rows[i].vm : rows[i].container, TOP_CELL_MAX, text, sizeof(text), &columns);
		if (columns > width)
			width = columns;
	}
	return width;
}

/* @row NULL: the titles. */
static void print_cells(const struct top_table *table, const struct top_row *row)
{
	char text[32];

	for (int i = 0; i < table->nr; i++) {
		if (row)
			top_number(table->columns[i].unit, row->values[i], text, sizeof(text));
		printf("%s%*s", i ? " " : "", TOP_NUMBER_WIDTH, row ? text : table->columns[i].title);
	}
	putchar('\n');
}

static void print_table(const struct top_table *table, const struct top_row *rows, size_t nr)
{
	const char *vm = table->columns[top_vm(table)].title, *container = table->columns[top_container(table)].title;
	int vm_width = name_width(vm, rows, nr, true), container_width = name_width(container, rows, nr, false);

	print_name(vm, vm_width);
	print_name(container, container_width);
	print_cells(table, NULL);
	for (size_t r = 0; r < nr; r++) {
		print_name(rows[r].vm, vm_width);
		print_name(rows[r].container, container_width);
		print_cells(table, &rows[r]);
	}
}

static void print_once(const struct top_options *o, struct top *t, bool first)
{
	size_t nr, total;
	const struct top_row *rows = top_rows(t, &o->order, &nr, &total);

	if (o->json) {
		print_json(o->table, rows, nr, top_seconds(t), o->once);
	} else {
		if (!first)
			putchar('\n');
		print_table(o->table, rows, nr);
	}
	fflush(stdout);
}

static void wait_until(__u64 ns)
{
	struct timespec at = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Reads, waits, and prints, from the second reading on; an agent that is away for a while is said once. */
static int print_all(const struct top_options *o, struct top *t)
{
	unsigned long printed = 0;
	__u64 next = now_ns();
	bool away = false;

	while (!ferror(stdout)) {
		int err = ctl_ask_metrics(&o->agent, t);

		if (err == -EREMOTEIO || err == -ENOMEM)
			return log_error(EXIT_FAILURE, "the agent cannot say its metrics");
		if (err && (o->once || err == -EACCES || err == -EPERM))
			return ctl_no_agent(&o->agent, err);
		if (err && !away)
			ctl_no_agent(&o->agent, err);
		away = err != 0;
		if (!err && top_seconds(t) > 0) {
			print_once(o, t, !printed);
			if (++printed == o->count)
				return EXIT_SUCCESS;
		}
		next += (__u64)(o->interval * 1e9);
		wait_until(next);
	}
	return EXIT_FAILURE;
}

static int show(struct top_options *o)
{
	struct top *t = top_new(o->table);
	int status = -ENOTTY;

	if (!t)
		return log_error(EXIT_FAILURE, "out of memory");
	setlocale(LC_CTYPE, "");
	if (!o->once && !o->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		status = top_view(o, t);
	if (status == -ENOTTY)
		status = print_all(o, t);
	top_free(t);
	return status;
}

int ctl_run_top(const struct ctl *c)
{
	struct top_table *table = top_table_new(c->nouns, c->noun, c->verb);
	struct top_options o = c->top;
	int status;

	if (!table)
		return log_error(EXIT_FAILURE, "out of memory");
	o.table = table;
	o.agent = c->agent;
	o.agent.timeout_ms = ANSWER_TIMEOUT_MS;
	o.json = c->json;
	if (o.once)
		o.count = 1;
	status = set_order(&o) ?: show(&o);
	top_table_free(table);
	return status;
}
