/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `nestorctl top` shows: two readings of the metrics become a row per VM and container, with rates. Pure
 * computation: no clock, no terminal.
 */
#ifndef NESTOR_CTL_TOPROWS_H
#define NESTOR_CTL_TOPROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

enum top_unit { TOP_COUNT, TOP_BYTES, TOP_SECONDS, TOP_RATIO };

/* In the order of the screen, behind the names. */
enum top_value {
	TOP_READS,
	TOP_WRITES,
	TOP_READ_BYTES,
	TOP_WRITE_BYTES,
	TOP_P50,
	TOP_P99,
	TOP_HIT,
	TOP_EVICTIONS,
	TOP_REFAULTS,
	TOP_CACHED,
	TOP_RX,
	TOP_TX,
	TOP_RX_PACKETS,
	TOP_TX_PACKETS,
	TOP_RETRANSMITS,
	TOP_MIGRATION,
	TOP_VALUES,
	TOP_VM = TOP_VALUES, /* only to sort by */
	TOP_CONTAINER,
	TOP_KEYS,
};

struct top_column {
	const char *key; /* for --sort */
	const char *title;
	const char *json;
	enum top_unit unit;
	int rank; /* the higher, the sooner a narrow screen goes without it */
};

extern const struct top_column top_columns[TOP_KEYS];

/* The column of that key, or -1. */
int top_find_key(const char *key);

struct top_row {
	const char *vm, *container;
	double values[TOP_VALUES]; /* NAN: not known */
};

struct top_order {
	enum top_value key;
	bool reverse; /* numbers normally fall, names rise; what is not known comes last in any case */
	const char *filter; /* a glob if it has one of *?[, else a part, of a VM's or container's name; "" for all */
};

struct top;

struct top *top_new(void); /* NULL: no memory */
void top_free(struct top *t);

/* Takes over @text, the metrics as they were at @ns. 0 or -ENOMEM. */
int top_read(struct top *t, char *text, __u64 ns);

/* Rows of the last two readings, valid until the next; *@ret_total before the filter. */
const struct top_row *top_rows(struct top *t, const struct top_order *order, size_t *ret_nr, size_t *ret_total);

/* Seconds between these readings, 0 if there was but one. */
double top_seconds(const struct top *t);

#endif
