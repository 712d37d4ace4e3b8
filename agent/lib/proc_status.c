// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"

struct lines {
	const char *const *keys;
	unsigned int nr, found;
	char *text;
	size_t size, len;
	size_t begin; /* of the last line in @text, which is dropped if its key is not wanted */
	enum { IN_KEY, IN_VALUE, IN_OTHER } place;
};

static bool is_wanted(const struct lines *l)
{
	const char *key = l->text + l->begin + 1;
	size_t len = l->len - l->begin - 1;

	for (unsigned int i = 0; i < l->nr; i++)
		if (strlen(l->keys[i]) == len && !memcmp(l->keys[i], key, len))
			return true;
	return false;
}

static int add(struct lines *l, char c)
{
	if (l->len + 1 >= l->size)
		return -E2BIG;
	l->text[l->len++] = c;
	return 0;
}

static void end_line(struct lines *l)
{
	if (l->place == IN_VALUE)
		l->found++;
	else
		l->len = l->begin;
	l->begin = l->len;
	l->place = IN_KEY;
}

static int take(struct lines *l, char c)
{
	if (c == '\n') {
		end_line(l);
		return l->found < l->nr ? add(l, c) : 0;
	}
	if (l->place == IN_OTHER)
		return 0;
	if (l->place == IN_KEY && c == ':') {
		l->place = is_wanted(l) ? IN_VALUE : IN_OTHER;
		if (l->place == IN_OTHER)
			return 0;
	}
	return add(l, c);
}

/* The kernel makes the text once per open file, so that chunks read in order are of one moment. */
static int read_lines(int fd, struct lines *l)
{
	char chunk[1024];
	ssize_t n;
	int err = add(l, '\n');

	while (!err && l->found < l->nr) {
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return n ? -errno : -ENODATA;
		for (ssize_t i = 0; i < n && !err && l->found < l->nr; i++)
			err = take(l, chunk[i]);
	}
	return err;
}

int proc_status_lines(int proc, const char *const *keys, unsigned int nr, char *ret, size_t size)
{
	_close_ int fd = openat(proc, "status", O_RDONLY | O_CLOEXEC);
	struct lines l = { .keys = keys, .nr = nr, .text = ret, .size = size };
	int err = fd < 0 ? -errno : read_lines(fd, &l);

	ret[l.len] = '\0';
	return err;
}

int proc_status_number(int proc, const char *key, __u64 *ret)
{
	char text[128], *value, *end;
	int err = proc_status_lines(proc, &key, 1, text, sizeof(text));

	if (err)
		return err;
	value = text + strlen(key) + 2; /* behind "\nKEY:" */
	*ret = strtoull(value, &end, 10);
	return end == value ? -ENODATA : 0;
}
