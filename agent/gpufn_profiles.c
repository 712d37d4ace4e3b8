// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/gpufn_profiles.h"
#include "agent/log.h"
#include "agent/util.h"

#define SAVE_NS (60ULL * 1000000000) /* at most so often */
#define PROFILES_MAX 4096 /* of functions that are no more there may be some, too */

/* Under its device and function; a list that somebody has written may have anything in it. */
static void put(struct gpufn_profiles *p, json_t *profile)
{
	const char *device, *driver, *by, *function, *source;
	json_int_t slices, before = 0;
	char key[512];
	double ns;
	int nr;

	if (json_unpack(profile, "{s:s, s:s, s:s, s:i, s:s, s:s, s:F, s:I}", "device", &device, "driver", &driver, "by", &by,
			"by_nr", &nr, "function", &function, "source", &source, "group_nanoseconds", &ns, "slices", &slices) ||
	    json_object_size(p->all) >= PROFILES_MAX)
		return;
	snprintf(key, sizeof(key), "%s %d %s %s %s", by, nr, function, device, driver);
	json_unpack(json_object_get(p->all, key), "{s:I}", "slices", &before);
	if (slices == before)
		return;
	json_object_set(p->all, key, profile);
	p->changed = true;
}

static void put_all(struct gpufn_profiles *p, json_t *list)
{
	json_t *profile;
	size_t i;

	json_array_foreach (list, i, profile)
		put(p, profile);
}

void gpufn_profiles_open(struct gpufn_profiles *p, const char *cache)
{
	json_error_t why;
	json_t *list;

	p->all = json_object();
	p->saved_at = now_ns();
	snprintf(p->path, sizeof(p->path), "%s/gpufn-profiles.json", cache);
	if (access(p->path, F_OK))
		return;
	list = json_load_file(p->path, 0, &why);
	if (json_is_array(list))
		put_all(p, list);
	else
		log_warning("gpufn: %s: line %d: %s; how long functions take is learnt anew", p->path, list ? 1 : why.line,
			    list ? "is no list" : why.text);
	json_decref(list);
	p->changed = false;
}

static void save(struct gpufn_profiles *p)
{
	char fresh[PATH_MAX + 8];
	json_t *list = gpufn_profiles_list(p);

	snprintf(fresh, sizeof(fresh), "%s.new", p->path);
	if (json_dump_file(list, fresh, JSON_INDENT(1) | JSON_SORT_KEYS) || rename(fresh, p->path)) {
		log_warning("gpufn: cannot write %s: %m", p->path);
		unlink(fresh);
	}
	json_decref(list);
	p->changed = false;
	p->saved_at = now_ns();
}

void gpufn_profiles_take(struct gpufn_profiles *p, const json_t *state)
{
	json_t *device;
	size_t i;

	json_array_foreach (json_object_get(state, "devices"), i, device)
		put_all(p, json_object_get(device, "profiles"));
	if (p->changed && now_ns() - p->saved_at > SAVE_NS)
		save(p);
}

json_t *gpufn_profiles_list(const struct gpufn_profiles *p)
{
	json_t *list = json_array(), *profile;
	const char *key;

	json_object_foreach (p->all, key, profile)
		json_array_append(list, profile);
	return list;
}

void gpufn_profiles_close(struct gpufn_profiles *p)
{
	if (p->changed)
		save(p);
	json_decref(p->all);
	*p = (struct gpufn_profiles){ 0 };
}
