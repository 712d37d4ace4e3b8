/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `nestorctl top` shows: two readings of the metrics become a row per VM and container, with rates. What columns
 * there are is handed in. Pure computation: no clock, no terminal.
 */
#ifndef NESTOR_CTL_TOP_ROWS_H
#define NESTOR_CTL_TOP_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

enum top_unit { TOP_COUNT, TOP_BYTES, TOP_SECONDS, TOP_RATIO };

/* How the number in a column follows from series. */
enum top_how {
	TOP_RATE, /* growth of .series per second; with .of: times the growth of .of[0], by that of .of[1] */
	TOP_NOW, /* what .series is, a gauge */
	TOP_NOW_PAGES, /* the same of pages, in bytes */
	TOP_PART, /* growth of .series by that of all .of */
	TOP_QUANTILE, /* upper bound of the bucket that .quantile falls into, of the growth of .series, a histogram's buckets */
};

/* Series of a metric, which are added up. */
struct top_series {
	const char *metric;
	const char *label, *value; /* NULL, or: only those whose label has this value */
	const char *part; /* NULL, or the label that tells them apart: each may be reset, or go, without the others */
};

struct top_column {
	const char *key; /* for --sort; NULL ends a list of columns */
	const char *title;
	const char *json;
	enum top_unit unit;
	int rank; /* the higher, the sooner a narrow screen goes without it */
	enum top_how how;
	struct top_series series, of[2];
	double quantile;
	bool is_default; /* rows are sorted by it unless the user says */
	bool is_needed; /* a VM or container without .series has no row */
	bool is_machine; /* .series with neither VM nor container are the machine's; who has none does not have 0 */
	const char *room; /* that counts it; filled in by top_table_new() */
};

/* What each has in a line, .series and what else it has behind. */
#define TOP_COLUMN(a_key, a_title, a_json, a_unit, a_rank, ...)                                                                \
	{                                                                                                                      \
		.key = a_key, .title = a_title, .json = a_json, .unit = a_unit, .rank = a_rank, __VA_ARGS__                    \
	}

/* Columns in the order of the screen: @nr with numbers, then two with names, which only sort. */
struct top_table {
	struct top_column *columns;
	int nr;
};

static inline int top_vm(const struct top_table *table)
{
	return table->nr;
}

static inline int top_container(const struct top_table *table)
{
	return table->nr + 1;
}

static inline int top_keys(const struct top_table *table)
{
	return table->nr + 2;
}

struct top_row {
	const char *vm, *container;
	bool is_shown; /* it has what is_needed */
	double *values; /* one for each column with numbers; NAN: not known */
};

struct top_order {
	int key; /* a column */
	bool reverse; /* numbers normally fall, names rise; what is not known comes last in any case */
	const char *filter; /* a glob if it has one of *?[, else a part, of a VM's or container's name; "" for all */
};

struct top;

struct top *top_new(const struct top_table *table); /* which has to stay; NULL: no memory */
void top_free(struct top *t);

/* Takes over @text, the metrics as they were at @ns. 0 or -ENOMEM. */
int top_read(struct top *t, char *text, __u64 ns);

/* Rows of the last two readings, valid until the next; *@ret_total before the filter. */
const struct top_row *top_rows(struct top *t, const struct top_order *order, size_t *ret_nr, size_t *ret_total);

/* Seconds between these readings, 0 if there was but one. */
double top_seconds(const struct top *t);

#endif
