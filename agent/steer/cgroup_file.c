// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libcgroup.h>

#include "agent/steer/cgroup_file.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

static const struct {
	const char *name;
	const char *controller; /* what libcgroup calls the part before the dot */
	const char *usual; /* the value where the file says nothing of a disk */
	bool one_word; /* of the kernel's answer, the first word is the value */
} files[SETTING_FILES] = {
	[SETTING_CONTROLLER] = { "cgroup.subtree_control", "cgroup", "-io", true },
	[SETTING_COST] = { "io.cost.qos", "io", "enable=0", true },
	[SETTING_MAX] = { "io.max", "io", "rbps=max wbps=max riops=max wiops=max", false },
	[SETTING_WEIGHT] = { "io.weight", "io", "default", true },
	[SETTING_BFQ_WEIGHT] = { "io.bfq.weight", "io", "default", true },
};

const char *cgroup_file_name(enum setting_file file)
{
	return files[file].name;
}

const char *cgroup_file_usual(enum setting_file file)
{
	return files[file].usual;
}

int cgroup_file_find(const char *name, enum setting_file *ret)
{
	for (unsigned int i = 0; i < SETTING_FILES; i++) {
		if (strcmp(files[i].name, name))
			continue;
		*ret = i;
		return 0;
	}
	return -EINVAL;
}

/* libcgroup reads once where what is mounted. */
int cgroup_file_init(void)
{
	static bool done;
	int err;

	if (done)
		return 0;
	err = cgroup_init();
	if (err)
		return log_error(-EOPNOTSUPP, "libcgroup finds no cgroups: %s", cgroup_strerror(err));
	done = true;
	return 0;
}

__u64 cgroup_file_inode(const char *mount, const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	return stat(full, &st) ? 0 : st.st_ino;
}

/* ---- reading ---- */

FILE *cgroup_file_open(const char *mount, const char *path, const char *name)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s/%s", mount, path, name) >= sizeof(full)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(full, "re");
}

/* What follows "MAJOR:MINOR " in @line; NULL if it is not that disk's. */
static char *of_disk(char *line, const struct disk *disk)
{
	unsigned int major, minor;
	int len = 0;

	if (sscanf(line, "%u:%u %n", &major, &minor, &len) != 2 || !len || major != disk->major || minor != disk->minor)
		return NULL;
	return line + len;
}

/* Among the words of cgroup.subtree_control. */
static char *controller_io(char *line)
{
	static char on[] = "+io";
	char *save;

	for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (!strcmp(word, "io"))
			return on;
	return NULL;
}

int cgroup_file_read(const char *mount, const struct cgroup_value_id *id, char ret_value[SETTING_VALUE_MAX])
{
	_fclose_ FILE *f = cgroup_file_open(mount, id->path, files[id->file].name);
	const char *value = NULL;
	_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (!value && getline(&line, &size, f) > 0)
		value = id->disk ? of_disk(line, id->disk) : controller_io(line);
	if (!value && ferror(f))
		return -EIO;
	if (!value)
		value = cgroup_file_usual(id->file);
	snprintf(ret_value, SETTING_VALUE_MAX, "%.*s", (int)strcspn(value, files[id->file].one_word ? " \n" : "\n"), value);
	return 0;
}

/* ---- writing ---- */

/* libcgroup does not say why it could not open a file. */
static int to_errno(int err)
{
	switch (err) {
	case 0:
		return 0;
	case ECGOTHER:
		return -cgroup_get_last_errno();
	case ECGROUPVALUENOTEXIST:
		return -EACCES;
	case ECGROUPSUBSYSNOTMOUNTED:
	case ECGROUPNOTMOUNTED:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int write_text(const char *path, enum setting_file file, const char *text)
{
	struct cgroup *cgroup = cgroup_new_cgroup(path);
	struct cgroup_controller *controller = cgroup ? cgroup_add_controller(cgroup, files[file].controller) : NULL;
	int err = controller ? 0 : -ENOMEM;

	if (!err)
		err = to_errno(cgroup_add_value_string(controller, files[file].name, text));
	if (!err)
		err = to_errno(cgroup_modify_cgroup(cgroup));
	cgroup_free(&cgroup);
	return err;
}

/* libcgroup 3 is silent of a value that the kernel does not support. */
static int verify(const char *mount, const struct cgroup_value_id *id, const char *value)
{
	char now[SETTING_VALUE_MAX];

	return cgroup_file_read(mount, id, now) ?: strcmp(now, value) ? -EOPNOTSUPP : 0;
}

int cgroup_file_write(const char *mount, const struct cgroup_value_id *id, const char *value)
{
	char text[SETTING_VALUE_MAX + 32];
	int err;

	if (id->disk)
		snprintf(text, sizeof(text), "%u:%u %s", id->disk->major, id->disk->minor, value);
	else
		snprintf(text, sizeof(text), "%s", value);
	err = write_text(id->path, id->file, text);
	return err ? err : verify(mount, id, value);
}

/* ---- does anybody else need the controller? ---- */

static bool has_values(const char *mount, const char *path, const char *file)
{
	_fclose_ FILE *f = cgroup_file_open(mount, path, file);
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strcmp(line, "default 100\n"))
			return true;
	return false;
}

bool cgroup_file_children_use_io(const char *mount, const char *path)
{
	static const char *const values[] = { "io.max", "io.weight", "io.bfq.weight", "io.latency" };
	char full[PATH_MAX], child[PATH_MAX];
	struct dirent *entry;
	bool used = false;
	DIR *dir;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	dir = opendir(full);
	while (dir && !used && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) >= sizeof(child))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			used |= has_values(mount, child, values[i]);
	}
	if (dir)
		closedir(dir);
	return used;
}
