// SPDX-License-Identifier: GPL-2.0
/* Who is which tenant, as policy says, and what tenants may have. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gpufn/broker.h"
#include "agent/gpufn/peer.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

/* Room for another one: of those that have nothing under way, the one that came first. Its counts go with it. */
static bool forget_one(struct broker *b)
{
	struct tenant *t, *oldest = NULL;

	LIST_FOREACH (t, &b->tenants, entry)
		if (!t->nr_calls && !t->nr_peers && !t->memory_used && !executor_has(b, t))
			oldest = t;
	if (!oldest)
		return false;
	for (unsigned int i = 0; i < b->nr_devices; i++)
		device_forget(&b->devices[i], oldest);
	LIST_REMOVE(oldest, entry);
	free(oldest);
	b->nr_tenants--;
	return true;
}

static struct tenant *find_tenant(const struct broker *b, const char *name)
{
	struct tenant *t;

	LIST_FOREACH (t, &b->tenants, entry)
		if (!strncmp(t->name, name, sizeof(t->name) - 1))
			break;
	return t;
}

static struct tenant *get_tenant(struct broker *b, const char *name)
{
	struct tenant *t = find_tenant(b, name);

	if (t)
		return t;
	if ((b->nr_tenants == GPUFN_TENANTS_MAX && !forget_one(b)) || !(t = calloc(1, sizeof(*t))))
		return NULL;
	b->nr_tenants++;
	snprintf(t->name, sizeof(t->name), "%s", name);
	LIST_INSERT_HEAD(&b->tenants, t, entry);
	return t;
}

void tenant_take_memory(struct broker *b, struct tenant *t, __u64 bytes)
{
	t->memory_used += bytes;
	b->memory_used += bytes;
}

void tenant_give_memory(struct broker *b, struct tenant *t, __u64 bytes)
{
	t->memory_used -= bytes;
	b->memory_used -= bytes;
}

/* {"tenant": …, "weight": …, "priority": …, "memory": …, "queue": …} */
static const char *name_in(const json_t *o)
{
	return json_string_value(json_object_get(o, "tenant")) ?: "";
}

static struct tenant *take_limits(struct tenant *t, const json_t *o)
{
	if (!t)
		return NULL;
	t->named = true;
	t->weight = (double)json_integer_value(json_object_get(o, "weight"));
	t->priority = (unsigned int)json_integer_value(json_object_get(o, "priority"));
	t->memory = (__u64)json_integer_value(json_object_get(o, "memory"));
	t->queue = (__u32)json_integer_value(json_object_get(o, "queue"));
	return t;
}

/* The innermost container: "/a/b/c", then "/a/b", then "/a". */
static const json_t *find_container(const struct broker *b, char *path)
{
	const json_t *paths = json_object_get(b->names, "paths"), *o = NULL;

	while (*path && !(o = json_object_get(paths, path)))
		*(strrchr(path, '/') ?: path) = '\0';
	return o;
}

struct tenant *tenant_of(struct broker *b, int connection)
{
	struct peer_process peer;
	const json_t *o;
	char user[16];

	if (peer_process_look(connection, json_is_true(json_object_get(b->names, "memory_v1")), &peer))
		return NULL;
	o = find_container(b, peer.cgroup);
	snprintf(user, sizeof(user), "%u", peer.uid);
	if (!o && !peer.contained)
		o = json_object_get(b->users, user);
	return o ? take_limits(get_tenant(b, name_in(o)), o) : NULL;
}

/* Of those that are there already. */
static void take_all_limits(struct broker *b, json_t *all)
{
	const char *key;
	json_t *o;

	json_object_foreach (all, key, o)
		take_limits(find_tenant(b, name_in(o)), o);
}

/* @users by their numbers. One that is no name of a user may be a number. */
static json_t *users_by_number(const json_t *users)
{
	json_t *all = json_object(), *o;
	const char *name;

	json_object_foreach ((json_t *)users, name, o) {
		const struct passwd *user = getpwnam(name);
		char number[24], *end = "";

		snprintf(number, sizeof(number), "%lu", user ? user->pw_uid : strtoul(name, &end, 10));
		if (*end || end == name)
			log_warning("there is no user %s", name);
		else if (!json_object_get(all, number))
			json_object_set(all, number, o);
	}
	return all;
}

void tenant_take_policy(struct broker *b, json_t *policy)
{
	const json_t *users = json_object_get(policy, "users");
	struct tenant *t;

	if (!json_equal(users, json_object_get(b->names, "users"))) { /* looked up once, not with each container that comes */
		json_decref(b->users);
		b->users = users_by_number(users);
	}
	json_decref(b->names);
	b->names = policy;
	b->memory = (__u64)json_integer_value(json_object_get(policy, "memory"));
	LIST_FOREACH (t, &b->tenants, entry)
		t->named = false;
	take_all_limits(b, json_object_get(policy, "paths"));
	take_all_limits(b, b->users);
}
