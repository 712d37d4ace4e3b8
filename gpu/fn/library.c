// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/fn/library.h"

static int is_description(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && !strcmp(entry->d_name + len - 5, ".yaml");
}

static void load_one(struct library *l, int dir, const char *file, void (*complain)(const char *why))
{
	char name[256], why[256];

	snprintf(name, sizeof(name), "%.*s", (int)strlen(file) - 5, file);
	if (!function_load(dir, name, &l->functions[l->n], why)) {
		l->n++;
		return;
	}
	l->refused++;
	complain(why);
}

int library_load_at(int dir, const char *path, void (*complain)(const char *why), struct library *ret, char why[256])
{
	struct dirent **entries;
	int n;

	*ret = (struct library){ 0 };
	n = dir < 0 ? -1 : scandirat(dir, ".", &entries, is_description, alphasort);
	if (n < 0) {
		snprintf(why, 256, "%s: %s", path, strerror(errno));
		return -errno;
	}
	if (n > LIBRARY_MAX)
		snprintf(why, 256, "%s: has more than %d functions", path, LIBRARY_MAX);
	else
		ret->functions = calloc((size_t)n + 1, sizeof(struct function *));
	for (int i = 0; i < n; i++) {
		if (ret->functions)
			load_one(ret, dir, entries[i]->d_name, complain);
		free(entries[i]);
	}
	free(entries);
	return ret->functions ? 0 : n > LIBRARY_MAX ? -E2BIG : (snprintf(why, 256, "out of memory"), -ENOMEM);
}

int library_load(const char *path, void (*complain)(const char *why), struct library *ret, char why[256])
{
	_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return library_load_at(dir, path, complain, ret, why);
}

bool library_same(const struct library *a, const struct library *b)
{
	bool same = a->n == b->n && a->refused == b->refused;

	for (size_t i = 0; same && i < a->n; i++)
		same = a->functions[i]->hash == b->functions[i]->hash && !strcmp(a->functions[i]->name, b->functions[i]->name);
	return same;
}

void library_free(struct library *l)
{
	for (size_t i = 0; i < l->n; i++)
		function_free(l->functions[i]);
	free(l->functions);
	*l = (struct library){ 0 };
}

const struct function *library_find(const struct library *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->functions[i]->name, name))
			return l->functions[i];
	return NULL;
}
