/* SPDX-License-Identifier: GPL-2.0 */
/* A cell of top's table as text. */
#ifndef NESTOR_CTL_TOP_CELL_H
#define NESTOR_CTL_TOP_CELL_H

#include <stddef.h>

#include "agent/ctl/top_rows.h"

#define TOP_CELL_MAX 512
#define TOP_NUMBER_WIDTH 7

/* At most TOP_NUMBER_WIDTH columns: 1.2k, 34M (powers of 1000), 128us, 99.5 (per cent); "-" if it is not known. */
void top_number(enum top_unit unit, double value, char *text, size_t size);

/*
 * At most @columns columns of a name, and the number of columns in *@ret_columns. Names are other people's bytes:
 * what steers a terminal, has no width of its own, or is no character of the locale becomes '?'.
 */
void top_name(const char *name, int columns, char *text, size_t size, int *ret_columns);

#endif
