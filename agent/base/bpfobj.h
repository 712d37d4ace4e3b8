/* SPDX-License-Identifier: GPL-2.0 */
/* What all rooms do with their BPF objects: pinning, reading maps, exporting their own cost. */
#ifndef NESTOR_BPFOBJ_H
#define NESTOR_BPFOBJ_H

#include <stddef.h>

#include <bpf/libbpf.h>

struct metrics;

/*
 * Before load: gives every map declared with LIBBPF_PIN_BY_NAME the path @dir/<map>_<hash of its layout>,
 * where libbpf re-opens or makes it. A pin of the same map with another layout is removed and counted in
 * *@resets. @dir NULL: nothing is pinned. 0 or -errno, logged.
 */
int bpfobj_pin(struct bpf_object *obj, const char *dir, unsigned int *resets);

/*
 * Makes @dir (mode 0700) on a bpffs, mounting one at /sys/fs/bpf if there is none, and takes a lock on it
 * that lasts as long as *@ret_fd is open. -EBUSY if another agent has it. Logged.
 */
int bpfobj_open_dir(const char *dir, int *ret_fd);

/* Unlinks all of Nestor's pins in @dir. 0 (also if there was none) or -errno. */
int bpfobj_remove_pins(const char *dir, unsigned int *ret_removed);

/* The verifier's last sentence in what it logged of a program that it refused, but for its statistics. Changes @log. */
const char *bpfobj_verdict(char *log);

/* A copy of a hash map. For a per-CPU map a value holds value_size bytes for each possible CPU. */
struct bpfobj_table {
	size_t nr;
	size_t key_size, value_size;
	char *keys, *values;
};

/* 0 or -errno. Entries that come and go meanwhile may be missed. */
int bpfobj_table_read(const struct bpf_map *map, struct bpfobj_table *ret);
void bpfobj_table_free(struct bpfobj_table *t);

static inline const void *bpfobj_table_key(const struct bpfobj_table *t, size_t i)
{
	return t->keys + i * t->key_size;
}

static inline const void *bpfobj_table_value(const struct bpfobj_table *t, size_t i)
{
	return t->values + i * t->value_size;
}

/* Sum over all CPUs of a per-CPU value made of @words 64-bit counters. */
void bpfobj_percpu_sum(const void *value, size_t words, __u64 *ret_sum);

/* What a map made by LOST_MAP() says of enum lost_reason @reason. */
unsigned long long bpfobj_lost(const struct bpf_map *lost, __u32 reason);

/* Events that @prog did not see, as it was running on that CPU already. */
unsigned long long bpfobj_misses(const struct bpf_program *prog);

/* Exports programs' run time, maps' entries, and the room's losses: those in a map made by LOST_MAP(), and @nested. */
void bpfobj_collect(struct bpf_object *obj, const char *room, const struct bpf_map *lost, unsigned long long nested,
		    struct metrics *m);

#endif
