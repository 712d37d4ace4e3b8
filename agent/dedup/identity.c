// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/dedup/identity.h"
#include "agent/lib/buf.h"
#include "agent/lib/proc_status.h"
#include "agent/lib/util.h"

/* Fields of /proc/PID/stat that stay the same until the process ends or executes a program; see proc_pid_stat(5). */
static const unsigned int lasting[] = { 22 /* starttime */, 26 /* startcode */, 28 /* startstack */, 47 /* start_brk */ };

static void add_stat(struct buf *to, char *text)
{
	char *rest = strrchr(text, ')'), *field;
	unsigned int nr = 3, next = 0;

	while (rest && next < ARRAY_SIZE(lasting) && (field = strsep(&rest, " \n"))) {
		if (*field == ')')
			continue;
		if (nr++ == lasting[next]) {
			buf_printf(to, "%s ", field);
			next++;
		}
	}
}

/* Without one of the lines a process could change what that says unnoticed. */
static int add_status(struct buf *to, int proc)
{
	static const char *const keys[] = { "Uid", "Gid", "CapPrm", "CapEff" };
	char text[512];
	int err = proc_status_lines(proc, keys, ARRAY_SIZE(keys), text, sizeof(text));

	if (err)
		return err == -ENODATA || err == -E2BIG ? -ESTALE : -ESRCH;
	buf_add(to, text, strlen(text));
	return 0;
}

static int read_facts(int proc, struct buf *to, size_t *ret_cgroups)
{
	char text[4096];
	ssize_t n;
	int err;

	if (util_read_file_at(proc, "stat", text, sizeof(text)) <= 0)
		return -ESRCH;
	add_stat(to, text);
	err = add_status(to, proc);
	if (err)
		return err;
	n = readlinkat(proc, "exe", text, sizeof(text)); /* none: a kernel thread, or one that has ended */
	buf_add(to, text, n > 0 ? (size_t)n : 0);
	*ret_cgroups = to->len;
	n = util_read_file_at(proc, "cgroup", text, sizeof(text));
	if (n <= 0)
		return -ESRCH;
	buf_add(to, text, (size_t)n);
	return 0;
}

/* A read that is no whole entry is invalid, unless no process has that memory any more: then all reads return 0. */
bool identity_has_memory(const struct identity *i)
{
	char byte;

	return i->pagemap < 0 || pread(i->pagemap, &byte, 1, 0) != 0;
}

int identity_check(const struct identity *i)
{
	struct buf now = {};
	size_t cgroups;
	int err = read_facts(i->proc, &now, &cgroups);

	if (!err && (!identity_has_memory(i) || !now.text || strcmp(now.text, i->facts) != 0))
		err = -ESTALE;
	buf_free(&now);
	return err;
}

/* A line is "0::/path", and the directory "/sys/fs/cgroup/path". */
bool identity_was_in(const struct identity *i, const char *cgroup_dir)
{
	size_t len = strlen(cgroup_dir);

	for (const char *line = i->facts + i->cgroups; *line; line += strcspn(line, "\n") + 1) {
		const char *colon = strchr(line, ':'), *path = colon ? strchr(colon + 1, ':') : NULL;
		size_t path_len = path ? strcspn(++path, "\n") : 0;

		if (path && (path_len == 1 || (path_len <= len && !strncmp(cgroup_dir + len - path_len, path, path_len))))
			return true;
		if (!line[strcspn(line, "\n")])
			break;
	}
	return false;
}

/* /proc/PID/statm takes no lock, and begins with 0 if a thread has ended. */
static bool has_ended(int proc)
{
	char text[64];

	return util_read_file_at(proc, "statm", text, sizeof(text)) <= 0 || *text == '0';
}

/* The first thread may end before the others. */
static void find_thread(struct identity *i)
{
	int task = openat(i->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *threads = task < 0 ? NULL : fdopendir(task);
	const struct dirent *entry;
	bool found = false;

	while (threads && !found && (entry = readdir(threads))) {
		int thread = *entry->d_name == '.' ? -1 : openat(task, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		found = thread >= 0 && !has_ended(thread);
		if (found) {
			i->tid = atoi(entry->d_name);
			close(i->proc);
			i->proc = thread;
		} else {
			close_p(&thread);
		}
	}
	if (threads)
		closedir(threads);
}

int identity_open(pid_t pid, struct identity *ret)
{
	struct buf facts = {};
	char path[64];
	int err;

	*ret = (struct identity){ .pid = pid, .tid = pid, .pagemap = -ESRCH };
	snprintf(path, sizeof(path), "/proc/%d", pid);
	ret->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->proc < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (has_ended(ret->proc))
		find_thread(ret);
	ret->pagemap = openat(ret->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	if (ret->pagemap < 0)
		ret->pagemap = errno == ENOENT ? -ESRCH : -errno;
	err = read_facts(ret->proc, &facts, &ret->cgroups);
	ret->facts = facts.text;
	if (!err && !ret->facts)
		err = -ENOMEM;
	if (err)
		identity_close(ret);
	return err;
}

void identity_close(struct identity *i)
{
	close_p(&i->pagemap);
	close_p(&i->proc);
	free(i->facts);
	*i = (struct identity){ .proc = -1, .pagemap = -1 };
}
