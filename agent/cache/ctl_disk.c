// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libdevmapper.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>

#include "agent/cache/ctl_disk.h"
#include "agent/lib/json_text.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define TARGET "nestor-cache"
#define UUID_PREFIX "NESTOR-CACHE-"

/* A device of ours, as device-mapper tells of it. */
struct slot_window {
	char name[64]; /* below /dev/mapper */
	char target[DM_MAX_TYPE_NAME];
	char below[32]; /* MAJOR:MINOR of the disk */
	uint64_t sectors;
	bool exists, open;
};

/* libdevmapper would print what the caller says better. */
static void silent(int level, const char *file, int line, int err, const char *fmt, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)err;
	(void)fmt;
}

static void task_free(struct dm_task **t)
{
	if (*t)
		dm_task_destroy(*t);
}

#define _task_ __attribute__((cleanup(task_free)))

/* NULL: device-mapper does not answer. */
static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *t;

	dm_log_with_errno_init(silent);
	t = dm_task_create(type);
	if (t && name && !dm_task_set_name(t, name)) {
		dm_task_destroy(t);
		return NULL;
	}
	return t;
}

/* Runs it, and waits for udev to have made or removed the node. 0 or -errno. */
static int run_task(struct dm_task *t)
{
	uint32_t cookie = 0;
	int err = 0;

	if (!t)
		return -EOPNOTSUPP;
	if (!dm_task_set_cookie(t, &cookie, 0))
		return -ENOMEM;
	if (!dm_task_run(t))
		err = -(dm_task_get_errno(t) ?: EIO);
	dm_udev_wait(cookie);
	return err;
}

static int simple_task(int type, const char *name)
{
	_task_ struct dm_task *t = new_task(type, name);

	if (type != DM_DEVICE_SUSPEND && type != DM_DEVICE_CLEAR)
		return run_task(t);
	return t && dm_task_run(t) ? 0 : -(t ? dm_task_get_errno(t) : EOPNOTSUPP);
}

/* What there is of that name. 0 or -errno; it need not exist. */
static int look(const char *name, struct slot_window *ret)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_TABLE, name);
	char *target = NULL, *params = NULL;
	struct dm_info info;
	uint64_t start;

	*ret = (struct slot_window){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (!t)
		return -EOPNOTSUPP;
	if (!dm_task_run(t) || !dm_task_get_info(t, &info))
		return dm_task_get_errno(t) == ENXIO ? 0 : -(dm_task_get_errno(t) ?: EIO);
	ret->exists = info.exists;
	ret->open = info.open_count > 0;
	if (!info.exists)
		return 0;
	dm_get_next_target(t, NULL, &start, &ret->sectors, &target, &params);
	snprintf(ret->target, sizeof(ret->target), "%s", target ?: "");
	sscanf(params ?: "", "%31s", ret->below);
	return 0;
}

/* Our devices have a uuid that says so, also while they are plain ones. */
static bool is_ours(const char *name)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_INFO, name);

	return t && dm_task_run(t) && !strncmp(dm_task_get_uuid(t) ?: "", UUID_PREFIX, strlen(UUID_PREFIX));
}

static int load_table(struct dm_task *t, const struct slot_window *m, const char *target)
{
	char params[64];

	if (!t)
		return -EOPNOTSUPP;
	snprintf(params, sizeof(params), "%s%s", m->below, strcmp(target, TARGET) ? " 0" : "");
	return dm_task_add_target(t, 0, m->sectors, target, params) ? 0 : -ENOMEM;
}

static int create(const struct slot_window *m)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_CREATE, m->name);
	char uuid[DM_UUID_LEN];
	int err = load_table(t, m, TARGET);

	if (err)
		return err;
	snprintf(uuid, sizeof(uuid), UUID_PREFIX "%s", m->name);
	if (!dm_task_set_uuid(t, uuid) || !dm_task_set_add_node(t, DM_ADD_NODE_ON_CREATE))
		return -ENOMEM;
	return run_task(t);
}

/* Puts another target under a device in use: what was begun ends before, what comes waits. */
static int swap_table(const struct slot_window *m, const char *target)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_RELOAD, m->name);
	int err = load_table(t, m, target), resumed;

	if (!err && !dm_task_run(t))
		err = -(dm_task_get_errno(t) ?: EIO);
	if (err)
		return err;
	err = simple_task(DM_DEVICE_SUSPEND, m->name);
	if (err)
		simple_task(DM_DEVICE_CLEAR, m->name);
	resumed = simple_task(DM_DEVICE_RESUME, m->name);
	return err ?: resumed;
}

static const char *reason(int err)
{
	return err == -EOPNOTSUPP
		       ? "device-mapper does not answer: this kernel has none (modprobe dm-mod), or one has to be root"
		       : strerror(-err);
}

/* ---- attach ---- */

/* 0, or an exit status after saying what is wrong. */
static int describe_disk(const char *device, struct slot_window *m)
{
	_free_ char *path = realpath(device, NULL);
	_close_ int fd = -1;
	struct stat st;
	__u64 bytes;

	if (!path || stat(path, &st))
		return log_error(EXIT_FAILURE, "%s: %m", device);
	if (!S_ISBLK(st.st_mode))
		return log_error(EXIT_FAILURE, "%s is not a block device", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		return log_error(EXIT_FAILURE, "%s: %m", device);
	*m = (struct slot_window){ .sectors = bytes / 512 };
	snprintf(m->name, sizeof(m->name), "%s" CACHE_DISK_SUFFIX, basename(path));
	snprintf(m->below, sizeof(m->below), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

static int refused(const char *device, int err)
{
	if (err == -EBUSY)
		return log_error(EXIT_FAILURE,
				 "%s is in use (mounted, swapped to, or below another device); a disk is attached before",
				 device);
	if (err == -EINVAL && access("/sys/module/nestor", F_OK))
		return log_error(EXIT_FAILURE,
				 "the kernel does not know the target " TARGET ": load the module nestor (modprobe nestor)");
	if (err == -EACCES || err == -EPERM)
		return log_error(EXIT_FAILURE, "only root can attach a disk; try sudo");
	return log_error(EXIT_FAILURE, "cannot attach %s: %s", device, reason(err));
}

int cache_attach(const char *device)
{
	struct slot_window wanted, there;
	int err = describe_disk(device, &wanted);

	if (err)
		return err;
	err = look(wanted.name, &there);
	if (!err && there.exists && (!is_ours(there.name) || strcmp(there.below, wanted.below) != 0))
		return log_error(EXIT_FAILURE, "/dev/mapper/%s is there already, and is something else", there.name);
	if (!err && there.exists && !strcmp(there.target, TARGET))
		return log_error(EXIT_FAILURE, "%s is attached already, as /dev/mapper/%s", device, there.name);
	if (!err)
		err = there.exists ? swap_table(&wanted, TARGET) : create(&wanted);
	if (err)
		return refused(device, err);
	printf("/dev/mapper/%s\n", wanted.name);
	return EXIT_SUCCESS;
}

/* ---- detach ---- */

int cache_detach(const char *name)
{
	const char *last = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t len = strlen(last);
	bool whole = len > strlen(CACHE_DISK_SUFFIX) && !strcmp(last + len - strlen(CACHE_DISK_SUFFIX), CACHE_DISK_SUFFIX);
	char full[64];
	struct slot_window m;
	int err;

	snprintf(full, sizeof(full), "%s%s", last, whole ? "" : CACHE_DISK_SUFFIX);
	err = look(full, &m);
	if (!err && (!m.exists || !is_ours(full)))
		return log_error(EXIT_FAILURE, "there is no /dev/mapper/%s of ours; see nestorctl cache list", full);
	if (!err && m.open && strcmp(m.target, TARGET) != 0)
		return log_error(EXIT_FAILURE, "%s is detached already, and in use", full);
	if (!err)
		err = m.open ? swap_table(&m, "linear") : simple_task(DM_DEVICE_REMOVE, full);
	if (err)
		return log_error(EXIT_FAILURE, "cannot detach %s: %s", full, reason(err));
	if (m.open)
		printf("/dev/mapper/%s is in use: it goes on without the cache\n", full);
	else
		printf("/dev/mapper/%s is removed\n", full);
	return EXIT_SUCCESS;
}

/* ---- list ---- */

static json_t *describe(const struct slot_window *m)
{
	return json_pack("{s:o, s:s, s:I, s:b, s:b}", "device", json_sprintf("/dev/mapper/%s", m->name), "disk", m->below,
			 "bytes", (json_int_t)m->sectors * 512, "cached", !strcmp(m->target, TARGET), "in_use", m->open);
}

json_t *cache_list(void)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_LIST, NULL);
	const struct dm_names *names;
	json_t *list = json_array();
	struct slot_window m;

	names = t && dm_task_run(t) ? dm_task_get_names(t) : NULL;
	if (!names) {
		log_error(0, "cannot list: %s", reason(t ? -dm_task_get_errno(t) : -EOPNOTSUPP));
		json_decref(list);
		return NULL;
	}
	while (names->dev) {
		if (is_ours(names->name) && !look(names->name, &m) && m.exists)
			json_array_append_new(list, describe(&m));
		if (!names->next)
			break;
		names = (const struct dm_names *)((const char *)names + names->next);
	}
	return list;
}
