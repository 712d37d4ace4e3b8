// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <libdevmapper.h>

#include "agent/cache/ctl_mapped.h"

#define UUID_PREFIX "NESTOR-CACHE-"

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

static int run_task(struct dm_task *t)
{
	if (!t)
		return -EOPNOTSUPP;
	return dm_task_run(t) ? 0 : -(dm_task_get_errno(t) ?: EIO);
}

static int simple_task(int type, const char *name)
{
	_task_ struct dm_task *t = new_task(type, name);

	return run_task(t);
}

/* Waits for udev to have made or removed the node. */
static int task_with_udev(int type, const char *name)
{
	_task_ struct dm_task *t = new_task(type, name);
	uint32_t cookie = 0;
	int err;

	if (t && !dm_task_set_cookie(t, &cookie, 0))
		return -ENOMEM;
	err = run_task(t);
	dm_udev_wait(cookie);
	return err;
}

/* ---- what there is ---- */

int cache_mapped_find(const char *name, struct mapped *ret)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_TABLE, name);
	char *target = NULL, *params = NULL;
	unsigned int major, minor;
	struct dm_info info;
	uint64_t start;

	*ret = (struct mapped){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (!t)
		return -EOPNOTSUPP;
	if (!dm_task_run(t) || !dm_task_get_info(t, &info))
		return dm_task_get_errno(t) == ENXIO ? 0 : -(dm_task_get_errno(t) ?: EIO);
	if (!info.exists)
		return 0;
	ret->exists = true;
	ret->is_open = info.open_count > 0;
	ret->is_read_only = info.read_only;
	ret->number = makedev(info.major, info.minor);
	ret->is_ours = !strncmp(dm_task_get_uuid(t) ?: "", UUID_PREFIX, strlen(UUID_PREFIX));
	dm_get_next_target(t, NULL, &start, &ret->sectors, &target, &params);
	snprintf(ret->target, sizeof(ret->target), "%s", target ?: "");
	if (sscanf(params ?: "", "%u:%u", &major, &minor) == 2)
		ret->disk = makedev(major, minor);
	return 0;
}

int cache_mapped_for_each(bool (*each)(const struct mapped *m, void *arg), void *arg)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_LIST, NULL);
	const struct dm_names *names;
	struct mapped m;
	int err = run_task(t);

	if (err)
		return err;
	names = dm_task_get_names(t);
	while (names && names->dev) {
		if (!cache_mapped_find(names->name, &m) && m.is_ours && each(&m, arg))
			break;
		names = names->next ? (const struct dm_names *)((const char *)names + names->next) : NULL;
	}
	return 0;
}

bool cache_mapped_has_target(const char *target)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_LIST_VERSIONS, NULL);
	const struct dm_versions *v = run_task(t) ? NULL : dm_task_get_versions(t);

	while (v && strcmp(v->name, target) != 0)
		v = v->next ? (const struct dm_versions *)((const char *)v + v->next) : NULL;
	return v;
}

/* ---- what is done to it ---- */

static int load(const struct mapped *m, const char *target)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_RELOAD, m->name);
	char params[64];

	if (!t)
		return -EOPNOTSUPP;
	snprintf(params, sizeof(params), "%u:%u%s", major(m->disk), minor(m->disk), strcmp(target, MAPPED_PLAIN) ? "" : " 0");
	if (!dm_task_add_target(t, 0, m->sectors, target, params) || (m->is_read_only && !dm_task_set_ro(t)))
		return -ENOMEM;
	return run_task(t);
}

static int create(const struct mapped *m)
{
	_task_ struct dm_task *t = new_task(DM_DEVICE_CREATE, m->name);
	char uuid[DM_UUID_LEN];

	if (!t)
		return -EOPNOTSUPP;
	if (snprintf(uuid, sizeof(uuid), UUID_PREFIX "%s", m->name) >= (int)sizeof(uuid))
		return -ENAMETOOLONG;
	return dm_task_set_uuid(t, uuid) ? run_task(t) : -ENOMEM;
}

int cache_mapped_create(const struct mapped *m, const char **ret_step)
{
	int err = create(m);

	*ret_step = "create the device";
	if (err)
		return err;
	err = cache_mapped_replace(m, MAPPED_TARGET, ret_step);
	if (err)
		simple_task(DM_DEVICE_REMOVE, m->name);
	return err;
}

int cache_mapped_replace(const struct mapped *m, const char *target, const char **ret_step)
{
	int err = load(m, target);

	*ret_step = "load its table";
	if (err)
		return err;
	/* Of a device that has a table this suspends, changes the table and resumes. */
	err = task_with_udev(DM_DEVICE_RESUME, m->name);
	*ret_step = "resume it";
	if (err)
		simple_task(DM_DEVICE_CLEAR, m->name);
	return err;
}

int cache_mapped_remove(const char *name)
{
	return task_with_udev(DM_DEVICE_REMOVE, name);
}
