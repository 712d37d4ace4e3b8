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
#define BATCH 2000 /* pages that ksmd looks at between two pauses: some milliseconds */
#define BATCH_MS 4

/* In the order that they are set in; put back in the reverse one. While there is an advisor it has the say on pages_to_scan. */
static const char *const names[] = { "advisor_mode", "smart_scan", "pages_to_scan", "sleep_millisecs", "run" };

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

/* Of each that this kernel has: what it is, and what it is going to be. */
static json_t *settings_from_to(int folder, const char *const *wanted)
{
	json_t *all = json_object();
	char now[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!get(folder, names[i], now, sizeof(now)))
			json_object_set_new(all, names[i], json_pack("{s:s, s:s}", "former", now, "ours", wanted[i]));
	return all;
}

static void put_back(int folder, const char *name, const json_t *setting, int *err)
{
	const char *former = json_string_value(json_object_get(setting, "former")),
		   *ours = json_string_value(json_object_get(setting, "ours"));
	char now[64];
	int failed;

	if (!former || !ours || get(folder, name, now, sizeof(now)) || strcmp(now, ours) != 0)
		return;
	failed = set(folder, name, former);
	if (failed)
		*err = log_error(failed, "dedup: cannot set %s of KSM back to %s: %s", name, former, strerror(-failed));
}

int ksm_undo(int run_dir)
{
	_close_ int fd = openat(run_dir, KSM_FILE, O_RDONLY | O_CLOEXEC), folder = -1;
	json_t *all;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : log_error(-errno, "dedup: cannot read what the settings of KSM were: %m");
	folder = open_folder();
	all = json_loadfd(fd, 0, NULL); /* NULL: it was never whole, so nothing was set */
	for (size_t i = ARRAY_SIZE(names); i-- > 0 && folder >= 0;)
		put_back(folder, names[i], json_object_get(all, names[i]), &err);
	json_decref(all);
	if (!err && unlinkat(run_dir, KSM_FILE, 0))
		err = log_error(-errno, "dedup: cannot forget what the settings of KSM were: %m");
	return err;
}

int ksm_begin(int run_dir, unsigned int percent)
{
	char batch[16], pause[16];
	const char *const wanted[] = { "none", "0", batch, pause, "1" };
	_close_ int folder = open_folder();
	json_t *all;
	int err = ksm_undo(run_dir);

	if (folder < 0)
		return log_error(folder, "dedup: this kernel does not merge pages: CONFIG_KSM=y is needed");
	if (!err && number(folder, "run") == 2)
		err = log_error(-EBUSY, "dedup: the administrator has KSM undo all merging: " FOLDER "/run is 2");
	if (err)
		return err;
	snprintf(batch, sizeof(batch), "%d", BATCH);
	snprintf(pause, sizeof(pause), "%u", BATCH_MS * (100 - percent) / percent);
	all = settings_from_to(folder, wanted);
	err = remember(run_dir, all);
	for (size_t i = 0; i < ARRAY_SIZE(names) && !err; i++)
		if (json_object_get(all, names[i]))
			err = set(folder, names[i], wanted[i]);
	json_decref(all);
	if (err) {
		log_error(0, "dedup: cannot set KSM going: %s", strerror(-err));
		ksm_undo(run_dir);
	}
	return err;
}

/* ---- counting ---- */

/* ksmd's process; 0: not found. It is always the same one. */
static pid_t find_ksmd(void)
{
	static pid_t found;
	DIR *proc = found ? NULL : opendir("/proc");
	const struct dirent *entry;
	char path[300], name[32];

	while (proc && !found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (entry->d_name[0] > '0' && entry->d_name[0] <= '9' &&
		    util_read_file_at(AT_FDCWD, path, name, sizeof(name)) > 0 && !strcmp(name, "ksmd\n"))
			found = atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

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

/* ---- whose memory is mergeable ---- */

static bool has_line(const char *path, const char *begin, const char *part, bool *ret_has_begin)
{
	char line[512];
	_fclose_ FILE *f = fopen(path, "re");

	*ret_has_begin = false;
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		*ret_has_begin = true;
		if (strstr(line, part))
			return true;
	}
	return false;
}

bool ksm_is_mergeable(pid_t pid)
{
	char path[64];
	bool yes, told;

	snprintf(path, sizeof(path), "/proc/%d/ksm_stat", pid);
	yes = has_line(path, "ksm_mergeable:", "yes", &told);
	if (told)
		return yes;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	return has_line(path, "VmFlags:", " mg", &told);
}
