/* SPDX-License-Identifier: GPL-2.0 */
/* A look at the memory of some owners: which of their pages have the same content, and do not change. */
#ifndef NESTOR_DEDUP_ROUND_H
#define NESTOR_DEDUP_ROUND_H

#include <jansson.h>

#include "agent/dedup/groups.h"
#include "agent/dedup/policy.h"

struct dedup_process {
	pid_t pid;
	uint16_t owner;
	bool named; /* an owner by its number, no member of a cgroup */
	struct identity id; /* as it was when it was added */
};

struct dedup_cgroup {
	char *dir;
	uint16_t owner;
};

struct dedup_round {
	char *const *names; /* of owners; not owned */
	size_t nr;
	unsigned int percent; /* of a processor that reading may take; 100 */
	const json_t *except; /* keys: processes and cgroups' directories that are left out of cgroups above; NULL: none */
	const json_t *stuck; /* processes whose memory is not read: by number, their dedup_round_start_of(); NULL: none */
	bool first_counts; /* a process of two owners is the first one's; else that is an error */
	struct dedup_process *processes;
	size_t nr_processes, size;
	struct dedup_cgroup *cgroups;
	size_t nr_cgroups;
	enum dedup_device wanted; /* DEVICE_AUTO */
	struct gpu *gpu; /* NULL: this processor hashes */
	char device[128];
	uint8_t secret[PAGE_HASH_SECRET];
	struct dedup_pages pages;
	struct dedup_pages again; /* those that have a double, read a second time */
	size_t worth; /* as many */
	struct dedup_reading reading;
	struct dedup_sums sums;
	uint64_t group_ns;
	uint64_t not_added; /* processes that could not be told apart from others, for want of memory or descriptors */
	uint64_t left_stuck; /* processes */
	uint64_t gone, refused; /* processes that ended meanwhile, or may not be looked at */
};

/* At most DEDUP_OWNERS_MAX owners. 0 or -errno, logged. dedup_round_end() in any case. */
int dedup_round_begin(struct dedup_round *r, char *const *names, size_t nr);
void dedup_round_end(struct dedup_round *r);

/* A process, or those of a cgroup, whose directory that is, and of all below it. 0 or -errno; logged, but for -ENOENT. */
int dedup_round_add_process(struct dedup_round *r, pid_t pid, uint16_t owner);
int dedup_round_add_cgroup(struct dedup_round *r, const char *dir, uint16_t owner);

/* Is the process an owner by its number, and the same one still? */
bool dedup_round_names(const struct dedup_round *r, pid_t pid);
/* Is it left out of the cgroups that it is in? */
bool dedup_round_excepts(const struct dedup_round *r, pid_t pid);

/* When a process began, in ticks of the clock; its number may be another one's later. 0: it is gone. */
uint64_t dedup_round_start_of(pid_t pid);

/* The directories of cgroups, and of those below, that are not left out. 0, or what @visit returns, which ends it. */
typedef int dedup_visit(const char *dir, uint16_t owner, void *data);
int dedup_round_walk(const struct dedup_round *r, dedup_visit *visit, void *data);

/* Reads all of it, and then again what is worth merging. Takes seconds. 0 or -errno, logged. */
int dedup_round_look(struct dedup_round *r);

/* What was found; a new reference. */
json_t *dedup_round_json(const struct dedup_round *r);

#endif
