/* SPDX-License-Identifier: GPL-2.0 */
/* A directory of functions. */
#ifndef NESTOR_FN_LIBRARY_H
#define NESTOR_FN_LIBRARY_H

#include "gpu/fn/function.h"

#define LIBRARY_MAX 1000

struct library {
	struct function **functions; /* by name */
	size_t n;
	size_t refused; /* descriptions that are not understood */
};

/*
 * All that *.yaml of directory @dir, named @path, describes. Of one that is not understood @complain is told why, and the
 * others are there all the same. 0, or -errno with @why.
 */
int library_load_at(int dir, const char *path, void (*complain)(const char *why), struct library *ret, char why[256]);
int library_load(const char *path, void (*complain)(const char *why), struct library *ret, char why[256]);
void library_free(struct library *l);
/* Have both the same functions, by their names and hashes? */
bool library_same(const struct library *a, const struct library *b);

/* NULL: there is none of that name. */
const struct function *library_find(const struct library *l, const char *name);

#endif
