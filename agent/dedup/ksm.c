// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/dedup/ksm.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define FOLDER "/sys/kernel/mm/ksm"
#define FOREVER "4294967295" /* milliseconds; msecs_to_jiffies() takes it, and what is a little less, as having no end */
#define FOREVER_TOO "4294967294"

/*
 * What is set while KSM is at work, in this order; put back in the reverse one. Two values, as some are changed from one to the
 * other. While there is an advisor it has the say on pages_to_scan.
 */
static const struct {
	const char *name, *ours[2];
} settings[] = {
	{ "advisor_mode", { "none" } },
	{ "smart_scan", { "0" } },
	{ "pages_to_scan", { KSM_ONE_PAGE, KSM_BATCH } },
	{ "sleep_millisecs", { FOREVER, FOREVER_TOO } },
	{ "run", { "1", "2" } },
};

/* ---- files ---- */

static int open_folder(void)
{
	int fd = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -EOPNOTSUPP : fd;
}

/* advisor_mode lists all, and has the one that counts in brackets. */
static void pick_chosen(char *text)
{
	char *begin = strchr(text, '['), *end = begin ? strchr(begin, ']') : NULL;

	if (!end)
		return;
	*end = '\0';
	memmove(text, begin + 1, (size_t)(end - begin));
}

static int get(int folder, const char *name, char *ret, size_t size)
{
	ssize_t len = util_read_file_at(folder, name, ret, size);

	if (len < 0)
		return (int)len;
	ret[strcspn(ret, "\n")] = '\0';
	pick_chosen(ret);
	return 0;
}

static int set(int folder, const char *name, const char *value)
{
	_close_ int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return -errno;
	return 0;
}

static uint64_t number(int folder, const char *name)
{
	char text[64];

	return get(folder, name, text, sizeof(text)) ? 0 : strtoull(text, NULL, 10);
}

/* ---- remembering ---- */

static int remember(int run_dir, const json_t *all)
{
	_free_ char *text = json_dumps(all, 0);
	_close_ int fd = openat(run_dir, KSM_FILE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (!text || fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) ||
	    renameat(run_dir, KSM_FILE ".new", run_dir, KSM_FILE))
		return log_error(text ? -errno : -ENOMEM, "dedup: cannot remember the settings of KSM: %m");
	return 0;
}

/* Of each that this kernel has: what it is. */
static int read_settings(int folder, json_t **ret)
{
	char now[64];
	int err;

	*ret = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		err = get(folder, settings[i].name, now, sizeof(now));
		if (!err)
			json_object_set_new(*ret, settings[i].name, json_string(now));
		else if (err != -ENOENT)
			return log_error(err, "dedup: cannot read %s of KSM: %s", settings[i].name, strerror(-err));
	}
	return 0;
}

static bool is_ours(size_t setting, const char *value)
{
	const char *const *ours = settings[setting].ours;

	return !strcmp(value, ours[0]) || (ours[1] && !strcmp(value, ours[1]));
}

/* What is not ours somebody else has set meanwhile. */
static int put_back(int folder, size_t setting, const char *former)
{
	const char *name = settings[setting].name;
	char now[64];
	int err = former ? get(folder, name, now, sizeof(now)) : -ENOENT;

	if (!err && is_ours(setting, now))
		err = set(folder, name, former);
	return err && err != -ENOENT
		       ? log_error(err, "dedup: cannot set %s of KSM back to %s: %s", name, former, strerror(-err))
		       : 0;
}

/* The file is whole as long as it is there, so what cannot be read now may be later. */
int ksm_undo(int run_dir)
{
	_close_ int fd = openat(run_dir, KSM_FILE, O_RDONLY | O_CLOEXEC), folder = -1;
	json_error_t why;
	json_t *all;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : log_error(-errno, "dedup: cannot read what the settings of KSM were: %m");
	folder = open_folder();
	if (folder < 0)
		return log_error(folder, "dedup: cannot put the settings of KSM back: there is no " FOLDER);
	all = json_loadfd(fd, 0, &why);
	if (!all)
		return log_error(-EIO, "dedup: cannot read what the settings of KSM were, in %s: %s", KSM_FILE, why.text);
	for (size_t i = ARRAY_SIZE(settings); i-- > 0;) {
		int failed = put_back(folder, i, json_string_value(json_object_get(all, settings[i].name)));

		err = err ?: failed;
	}
	json_decref(all);
	if (!err && unlinkat(run_dir, KSM_FILE, 0))
		err = log_error(-errno, "dedup: cannot forget what the settings of KSM were: %m");
	return err;
}

/* ---- ksmd, step by step ---- */

/* ksmd's process; 0: not found. It is always the same one, and others may call themselves so. */
static pid_t find_ksmd(void)
{
	static const char name[] = "Name:\tksmd\n", of_kthreadd[] = "\nPPid:\t2\n";
	static pid_t found;
	DIR *proc = found ? NULL : opendir("/proc");
	const struct dirent *entry;
	char path[300], text[1024];

	while (proc && !found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/status", entry->d_name);
		if (entry->d_name[0] > '0' && entry->d_name[0] <= '9' &&
		    util_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 && !strncmp(text, name, sizeof(name) - 1) &&
		    strstr(text, of_kthreadd))
			found = atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

/* How often ksmd went to sleep, and whether it is asleep for want of something to do; in all other waits its state is D. */
static int read_ksmd(uint64_t *ret_sleeps, bool *ret_idle)
{
	static const char state[] = "\nState:\t", sleeps[] = "\nvoluntary_ctxt_switches:\t";
	char path[64], text[4096];
	const char *a, *b;

	snprintf(path, sizeof(path), "/proc/%d/status", find_ksmd());
	if (util_read_file_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return -ESRCH;
	a = strstr(text, state);
	b = strstr(text, sleeps);
	if (!a || !b)
		return -EIO;
	*ret_idle = a[sizeof(state) - 1] == 'S';
	*ret_sleeps = strtoull(b + sizeof(sleeps) - 1, NULL, 10);
	return 0;
}

static int set_ours(const struct ksm *k, bool anew)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !err; i++) {
		if (anew && !strcmp(settings[i].name, "run"))
			err = set(k->folder, "run", "2");
		err = err ?: set(k->folder, settings[i].name, settings[i].ours[0]);
		if (err == -ENOENT) /* this kernel has no such one */
			err = 0;
	}
	return err ? log_error(err, "dedup: cannot set KSM going: %s", strerror(-err)) : 0;
}

/* Whoever has KSM run already has it merge all that anybody tells it of, ours among that, and whenever he likes. */
static int refuse_others_use(int folder)
{
	switch (number(folder, "run")) {
	case 0:
		return 0;
	case 1:
		return log_error(-EBUSY, "dedup: nothing is merged: KSM runs already, for all processes: " FOLDER
					 "/run is 1; stop what has it run, such as ksmtuned, and write 0 there");
	default:
		return log_error(-EBUSY, "dedup: nothing is merged: the administrator has KSM undo all merging: " FOLDER
					 "/run is not 0");
	}
}

int ksm_open(struct ksm *ret, int run_dir)
{
	int err = ksm_undo(run_dir);

	*ret = (struct ksm){ .run_dir = run_dir, .folder = open_folder() };
	if (!err && ret->folder < 0)
		err = log_error(-EOPNOTSUPP, "dedup: this kernel does not merge pages: CONFIG_KSM=y is needed");
	if (!err)
		err = refuse_others_use(ret->folder);
	if (err)
		close_p(&ret->folder);
	return err;
}

int ksm_begin(const struct ksm *k, bool anew)
{
	json_t *all = NULL;
	int err = refuse_others_use(k->folder) ?: read_settings(k->folder, &all) ?: remember(k->run_dir, all) ?: set_ours(k, anew);

	json_decref(all);
	return err;
}

/* A change of sleep_millisecs ends ksmd's sleep. */
int ksm_wake(struct ksm *k, const char *pages)
{
	bool idle;
	int err = read_ksmd(&k->sleeps, &idle) ?: set(k->folder, "pages_to_scan", pages);

	k->odd = !k->odd;
	err = err ?: set(k->folder, "sleep_millisecs", k->odd ? FOREVER_TOO : FOREVER);
	return err ? log_error(err, "dedup: cannot have KSM go on: %s", strerror(-err)) : 0;
}

/* The count first, so that the sleep that is seen is one since then. */
bool ksm_is_idle(const struct ksm *k)
{
	uint64_t sleeps, then;
	bool idle;

	return !read_ksmd(&sleeps, &idle) && sleeps != k->sleeps && !read_ksmd(&then, &idle) && idle;
}

int ksm_take_apart(const struct ksm *k)
{
	int err = set(k->folder, "run", "2");

	return err ? log_error(err, "dedup: cannot have KSM take apart what it has merged: %s", strerror(-err)) : 0;
}

void ksm_close(struct ksm *k)
{
	close_p(&k->folder);
}

/* ---- counting ---- */

static uint64_t ksmd_cpu_ns(void)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", find_ksmd());
	return util_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

int ksm_count(struct ksm_counts *ret)
{
	_close_ int folder = open_folder();

	if (folder < 0)
		return folder;
	*ret = (struct ksm_counts){
		.full_scans = number(folder, "full_scans"),
		.cpu_ns = ksmd_cpu_ns(),
	};
	return 0;
}

uint64_t ksm_merged(pid_t pid)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", pid);
	return util_read_file_at(AT_FDCWD, path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}
