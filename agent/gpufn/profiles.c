// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/gpufn/profiles.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define SAVE_NS (60ULL * 1000000000) /* at most so often */
#define PROFILES_MAX 4096 /* of functions that are no more there may be some, too */

json_t *gpufn_profile_json(const struct gpufn_profile *p)
{
	char source[20];

	snprintf(source, sizeof(source), "%016llx", (unsigned long long)p->source);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:f, s:I}", "device", p->device, "driver", p->driver, "by", p->by,
			 "by_nr", p->by_nr, "function", p->function, "source", source, "group_nanoseconds",
			 p->group_nanoseconds, "slices", (json_int_t)p->slices);
}

bool gpufn_profile_read(json_t *from, struct gpufn_profile *ret)
{
	const char *source;
	json_int_t slices;

	if (json_unpack(from, "{s:s, s:s, s:s, s:i, s:s, s:s, s:F, s:I}", "device", &ret->device, "driver", &ret->driver, "by",
			&ret->by, "by_nr", &ret->by_nr, "function", &ret->function, "source", &source, "group_nanoseconds",
			&ret->group_nanoseconds, "slices", &slices))
		return false;
	ret->source = strtoull(source, NULL, 16);
	ret->slices = slices > 0 ? (__u64)slices : 0;
	return ret->slices && ret->group_nanoseconds > 0 && isfinite(ret->group_nanoseconds);
}

/* Under its device and function; a list that somebody has written may have anything in it. */
static void put(struct gpufn_profiles *p, json_t *profile)
{
	struct gpufn_profile r;
	const json_t *before;
	char key[512];

	if (!gpufn_profile_read(profile, &r))
		return;
	snprintf(key, sizeof(key), "%s %d %s %s %s", r.by, r.by_nr, r.function, r.device, r.driver);
	before = json_object_get(p->all, key);
	if (before ? json_equal(before, profile) : json_object_size(p->all) >= PROFILES_MAX)
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
