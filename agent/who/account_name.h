/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of agent/who/accounts.h share: the owners that have counters, and how they get their names. */
#ifndef NESTOR_ACCOUNT_NAME_H
#define NESTOR_ACCOUNT_NAME_H

#include <sys/queue.h>

#include "agent/who/looker.h"
#include "agent/who/who.h"

#define BUCKETS 1024

struct entry {
	struct owner owner;
	struct owner_info info; /* as in the map */
	__u64 seen_ns; /* when we met it */
	bool final; /* its name will not change */
	bool answered; /* its record was looked for, and its name is from there, if there is one */
	struct accounts *accounts;
	struct look look; /* for its name */
	LIST_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) in_all;
};

TAILQ_HEAD(entries, entry);

struct accounts {
	struct env *env;
	struct looker *looker;
	struct bpf_map *map;
	const struct workloads *census;
	struct entries all;
	LIST_HEAD(, entry) buckets[BUCKETS];
	LIST_HEAD(, counters) tallies;
	unsigned int nr_shown; /* different names that are shown */
	bool renamed; /* one that is shown: nr_shown may be wrong */
};

bool account_name_is_set(const struct entry *e);
bool account_name_same(const struct entry *a, const struct entry *b);

/* Names it, or notes that it is dead. */
void account_name_look(struct accounts *o, struct entry *e);

void account_name_save(struct accounts *o, const struct entry *e); /* into the map */

#endif
