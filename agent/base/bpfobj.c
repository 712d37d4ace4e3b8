// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/magic.h>

#include "agent/base/bpfobj.h"
#include "agent/lib/log.h"
#include "agent/base/metrics.h"
#include "agent/lib/util.h"
#include "bpf/lost.h"

/* ---- pins ---- */

static void hash_bytes(__u32 *hash, const char *text)
{
	for (; *text; text++)
		*hash = (*hash ^ (unsigned char)*text) * 16777619; /* FNV-1a */
}

static void hash_printf(void *hash, const char *fmt, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	hash_bytes(hash, text);
}

static int hash_type(const struct btf *btf, __u32 id, __u32 *hash)
{
	struct btf_dump *dump = btf_dump__new(btf, hash_printf, hash, NULL);
	int err;

	if (!dump)
		return -errno;
	err = btf_dump__dump_type(dump, id);
	btf_dump__free(dump);
	return err;
}

/* All that a reader of the pinned bytes relies on: kind and size of the map, and the C text of key and value. */
static int layout_hash(const struct bpf_object *obj, const struct bpf_map *map, __u32 *ret_hash)
{
	const struct btf *btf = bpf_object__btf(obj);
	__u32 hash = 2166136261;
	char head[128];
	int err;

	snprintf(head, sizeof(head), "%d %u %u %u %u;", bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
		 bpf_map__max_entries(map), bpf_map__map_flags(map));
	hash_bytes(&hash, head);
	err = hash_type(btf, bpf_map__btf_key_type_id(map), &hash);
	if (!err)
		err = hash_type(btf, bpf_map__btf_value_type_id(map), &hash);
	*ret_hash = hash;
	return err;
}

/* <map>_<8 hexadecimal digits>: length of the map's name; 0: not a pin of ours */
static size_t pinned_name_len(const char *entry)
{
	const char *hash = strrchr(entry, '_');

	if (!hash || strlen(hash + 1) != 8 || strspn(hash + 1, "0123456789abcdef") != 8)
		return 0;
	return (size_t)(hash - entry);
}

/* A pin of @map, but not @keep. */
static bool is_other_layout(const char *entry, const char *map, const char *keep)
{
	size_t len = strlen(map);

	return pinned_name_len(entry) == len && !strncmp(entry, map, len) && strcmp(entry, keep);
}

static void drop_other_layouts(const char *dir, const char *map, const char *keep, unsigned int *resets)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (!is_other_layout(entry->d_name, map, keep) || unlinkat(dirfd(d), entry->d_name, 0))
			continue;
		log_info("%s was kept in another layout: it starts anew", map);
		(*resets)++;
	}
	if (d)
		closedir(d);
}

static int pin_map(struct bpf_object *obj, struct bpf_map *map, const char *dir, unsigned int *resets)
{
	char path[PATH_MAX], name[64];
	__u32 hash;
	int err;

	if (!bpf_map__pin_path(map))
		return 0;
	if (!dir)
		return bpf_map__set_pin_path(map, NULL);
	err = layout_hash(obj, map, &hash);
	if (err)
		return err;
	snprintf(name, sizeof(name), "%s_%08x", bpf_map__name(map), hash);
	drop_other_layouts(dir, bpf_map__name(map), name, resets);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_map__set_pin_path(map, path);
}

int bpfobj_pin(struct bpf_object *obj, const char *dir, unsigned int *resets)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, obj) {
		int err = pin_map(obj, map, dir, resets);

		if (err)
			return log_error(err, "cannot pin %s: %s", bpf_map__name(map), strerror(-err));
	}
	return 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* Does what systemd does at boot, on machines without it. */
static int mount_bpffs(const char *dir)
{
	static const char usual[] = "/sys/fs/bpf";

	if (strncmp(dir, usual, strlen(usual)) || is_bpffs(usual))
		return 0;
	if (mount("bpf", usual, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700"))
		return log_error(-errno, "cannot mount bpffs at %s: %m", usual);
	return 0;
}

/* Somebody who made the directory before us could reach our maps. */
static int check_dir(int fd, const char *dir)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return log_error(-errno, "%s: %m", dir);
	if (fs.f_type != BPF_FS_MAGIC)
		return log_error(-EINVAL, "%s is not on a bpffs; mount one there: mount -t bpf bpf DIR", dir);
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return log_error(-EPERM, "%s belongs to uid %u, mode %04o; it must be ours alone (0700)", dir, st.st_uid,
				 st.st_mode & 07777);
	return 0;
}

int bpfobj_open_dir(const char *dir, int *ret_fd)
{
	_close_ int fd = -1;
	bool made;
	int err;

	err = mount_bpffs(dir);
	if (err)
		return err;
	made = !mkdir(dir, 0700);
	if (!made && errno != EEXIST)
		return log_error(-errno, "cannot make %s: %m", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return log_error(-errno, "cannot open %s: %m", dir);
	err = check_dir(fd, dir);
	if (err && made)
		rmdir(dir);
	if (err)
		return err;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return log_error(-EBUSY, "%s is in use by another nestord; give this one its own --bpffs", dir);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int bpfobj_remove_pins(const char *dir, unsigned int *ret_removed)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int err = 0;

	*ret_removed = 0;
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	if (!is_bpffs(dir))
		err = -EINVAL;
	while (!err && (entry = readdir(d))) {
		if (!pinned_name_len(entry->d_name))
			continue;
		if (unlinkat(dirfd(d), entry->d_name, 0))
			err = -errno;
		else
			(*ret_removed)++;
	}
	closedir(d);
	return err;
}

/* ---- reading maps ---- */

static bool is_percpu(const struct bpf_map *map)
{
	enum bpf_map_type type = bpf_map__type(map);

	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static size_t read_size(const struct bpf_map *map)
{
	size_t size = bpf_map__value_size(map);

	return is_percpu(map) ? (size + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus() : size;
}

/* One system call: the buffers hold the whole map, so no bucket can be too large for a batch. */
int bpfobj_table_read(const struct bpf_map *map, struct bpfobj_table *ret)
{
	struct bpfobj_table t = { .key_size = bpf_map__key_size(map), .value_size = read_size(map) };
	__u32 nr = bpf_map__max_entries(map);
	__u64 position;
	int err;

	t.keys = malloc(nr * t.key_size);
	t.values = malloc(nr * t.value_size);
	if (!t.keys || !t.values) {
		bpfobj_table_free(&t);
		return -ENOMEM;
	}
	err = bpf_map_lookup_batch(bpf_map__fd(map), NULL, &position, t.keys, t.values, &nr, NULL);
	if (err && err != -ENOENT) { /* -ENOENT: reached the end */
		bpfobj_table_free(&t);
		return err;
	}
	t.nr = nr;
	*ret = t;
	return 0;
}

void bpfobj_table_free(struct bpfobj_table *t)
{
	free(t->keys);
	free(t->values);
	*t = (struct bpfobj_table){};
}

void bpfobj_percpu_sum(const void *value, size_t words, __u64 *ret_sum)
{
	const __u64 *cpu = value;

	memset(ret_sum, 0, words * sizeof(*ret_sum));
	for (int i = 0; i < libbpf_num_possible_cpus(); i++, cpu += words)
		for (size_t w = 0; w < words; w++)
			ret_sum[w] += cpu[w];
}

const char *bpfobj_verdict(char *log)
{
	char *end = strstr(log, "\nprocessed "), *line;

	if (end)
		*end = '\0';
	line = strrchr(log, '\n');
	return line ? line + 1 : log;
}

/* ---- the agent's own cost ---- */

unsigned long long bpfobj_misses(const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len) ? 0 : info.recursion_misses;
}

static void collect_programs(struct bpf_object *obj, const char *room, struct metrics *m)
{
	struct family *seconds =
		metrics_family(m, "nestor_bpf_program_run_seconds_total", METRIC_COUNTER,
			       "Time spent in a BPF program, while policy agent.self_stats has the kernel measure it.");
	struct family *runs = metrics_family(m, "nestor_bpf_program_runs_total", METRIC_COUNTER,
					     "Runs of a BPF program, counted at the same times as its run time.");
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, obj) {
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);
		const char *labels;

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			continue;
		labels = metrics_labels(m, "room", room, "program", bpf_program__name(prog), NULL);
		metrics_seconds(seconds, labels, info.run_time_ns);
		metrics_u64(runs, labels, info.run_cnt);
	}
}

/* Of the room's own hash maps; those of who are in every object. */
static bool is_own_hash(const struct bpf_map *map, const char *room)
{
	enum bpf_map_type type = bpf_map__type(map);

	return (type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH) &&
	       !strncmp(bpf_map__name(map), room, strlen(room));
}

static void collect_maps(const struct bpf_object *obj, const char *room, struct metrics *m)
{
	struct family *entries = metrics_family(m, "nestor_bpf_map_entries", METRIC_GAUGE, "Entries in a BPF hash map.");
	struct family *capacity =
		metrics_family(m, "nestor_bpf_map_capacity", METRIC_GAUGE, "Most entries that a BPF hash map can hold.");
	const struct bpf_map *map;

	bpf_object__for_each_map (map, obj) {
		const char *labels;
		struct bpfobj_table t;

		if (!is_own_hash(map, room) || bpfobj_table_read(map, &t))
			continue;
		labels = metrics_labels(m, "room", room, "map", bpf_map__name(map), NULL);
		metrics_u64(entries, labels, t.nr);
		metrics_u64(capacity, labels, bpf_map__max_entries(map));
		bpfobj_table_free(&t);
	}
}

unsigned long long bpfobj_lost(const struct bpf_map *lost, __u32 reason)
{
	_free_ __u64 *values = calloc(1, read_size(lost));
	__u64 n = 0;

	if (values && !bpf_map_lookup_elem(bpf_map__fd(lost), &reason, values))
		bpfobj_percpu_sum(values, 1, &n);
	return n;
}

static void collect_losses(const struct bpf_map *lost, unsigned long long nested, const char *room, struct metrics *m)
{
	static const char *const reasons[] = {
		[LOST_INFLIGHT_FULL] = "inflight_full", [LOST_COUNTERS_FULL] = "counters_full",
		[LOST_DEVICES_FULL] = "devices_full",	[LOST_RING_FULL] = "ring_full",
		[LOST_COMPLETION] = "completion",	[LOST_OWNER] = "owner",
	};
	struct family *f = metrics_family(m, "nestor_events_lost_total", METRIC_COUNTER,
					  "Events that were not counted, or not in full, by reason.");

	_Static_assert(ARRAY_SIZE(reasons) == LOST_REASONS, "a name for each reason");
	for (__u32 i = 0; i < LOST_REASONS; i++)
		metrics_u64(f, metrics_labels(m, "room", room, "reason", reasons[i], NULL), bpfobj_lost(lost, i));
	metrics_u64(f, metrics_labels(m, "room", room, "reason", "nested", NULL), nested);
}

void bpfobj_collect(struct bpf_object *obj, const char *room, const struct bpf_map *lost, unsigned long long nested,
		    struct metrics *m)
{
	collect_programs(obj, room, m);
	collect_maps(obj, room, m);
	collect_losses(lost, nested, room, m);
}
