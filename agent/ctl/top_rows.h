/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `nestorctl top` and `nestorctl cache top` show: two readings of the metrics become a row per VM and container, with
 * rates. Pure computation: no clock, no terminal.
 */
#ifndef NESTOR_CTL_TOP_ROWS_H
#define NESTOR_CTL_TOP_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

enum top_unit { TOP_COUNT, TOP_BYTES, TOP_SECONDS, TOP_RATIO };

/* Tables, each of columns of its own. */
enum top_table { TOP_MAIN = 1, TOP_CACHE = 2 };

enum top_room { TOP_ROOM_BLKIO, TOP_ROOM_PCACHE, TOP_ROOM_NET, TOP_ROOM_CACHE, TOP_ROOMS };

/* In the order of the screen, behind the names; those of a table are all next to each other. */
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
	TOP_MEMORY,
	TOP_MEMORY_SHARE,
	TOP_SSD,
	TOP_SSD_SHARE,
	TOP_GETS,
	TOP_GET_HIT,
	TOP_MEMORY_HIT,
	TOP_SSD_HIT,
	TOP_MEMORY_PUTS,
	TOP_SSD_PUTS,
	TOP_MEMORY_EVICTIONS,
	TOP_SSD_EVICTIONS,
	TOP_DEMOTIONS,
	TOP_DROPS,
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
	unsigned int tables; /* that have it */
	enum top_room room; /* that counts it */
	bool gauge; /* what there is, not what happened since the reading before */
};

extern const struct top_column top_columns[TOP_KEYS];

static inline bool top_has(enum top_table table, int column)
{
	return top_columns[column].tables & table;
}

/* The column of that key in a table, or -1. */
int top_find_key(enum top_table table, const char *key);

struct top_row {
	const char *vm, *container;
	bool has_pool; /* of the second-level cache */
	double values[TOP_VALUES]; /* NAN: not known */
};

struct top_order {
	enum top_table table; /* that of the cache has only who has a pool */
	enum top_value key; /* a column of it */
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
