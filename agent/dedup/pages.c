// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/magic.h>

#include "agent/dedup/pages.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

#define PAGE PAGE_HASH_PAGE
#define BATCH 2048 /* pages, for a device */
#define BATCH_HERE 256 /* that the cache of a processor holds while they are hashed */
#define LOOK 32768 /* entries of pagemap at a time */
#define RANGES 256 /* that the kernel finds at a time */
#define VAST (1ULL << 40) /* bytes: sanitizers map more, and fill next to nothing of it; to look through takes long */

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_FRAME ((1ULL << 55) - 1)
#define PM_EXCLUSIVE (1ULL << 56)
#define PM_FILE (1ULL << 61)
#define PM_PRESENT (1ULL << 63)

#ifndef PAGEMAP_SCAN /* Linux 6.7 */
struct page_region {
	__u64 start, end, categories;
};
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_FILE (1 << 2)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_HUGE (1 << 6)
#endif

struct dedup_reader {
	struct page_hash_stream *stream; /* NULL: hashed here */
	const uint8_t *secret;
	uint8_t *here; /* pages, then */
	uint64_t *entries; /* of pagemap */
	size_t batch; /* pages */
	size_t waiting; /* of the batch that is being filled */
	size_t hashed; /* of all */
	unsigned int percent; /* of a processor */
	uint64_t began, cpu_began; /* ns */
	struct dedup_reading reading;
};

/* A process that is read. */
struct target {
	pid_t pid;
	uint32_t process;
	uint16_t owner;
	int pagemap, memory;
};

/* What each thread reads, for the one that watches over that. pid 0: nothing. */
static struct {
	_Atomic pid_t pid;
	_Atomic uint64_t since; /* ns */
} under_way[DEDUP_READERS];

static unsigned int own_number(void)
{
	static _Atomic unsigned int next;
	static _Thread_local unsigned int number; /* from 1 on */

	if (!number)
		number = ++next;
	return number % DEDUP_READERS;
}

pid_t dedup_reading_since(uint64_t ns)
{
	for (size_t i = 0; i < DEDUP_READERS; i++) {
		pid_t pid = under_way[i].pid;
		uint64_t since = under_way[i].since; /* before the time is: it may begin another call just now */

		if (pid && now_ns() - since > ns)
			return pid;
	}
	return 0;
}

void dedup_reading_begin(pid_t pid)
{
	unsigned int own = own_number();

	under_way[own].since = now_ns();
	under_way[own].pid = pid;
}

void dedup_reading_end(void)
{
	under_way[own_number()].pid = 0;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct dedup_reader *dedup_reader_open(struct gpu *g, const uint8_t secret[PAGE_HASH_SECRET], unsigned int percent)
{
	struct dedup_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->secret = secret;
	r->percent = percent;
	r->batch = g ? BATCH : BATCH_HERE;
	r->began = now_ns();
	r->cpu_began = own_cpu_ns();
	r->entries = malloc(LOOK * sizeof(*r->entries));
	if (g)
		r->stream = page_hash_open(g, r->batch, secret);
	else
		r->here = malloc(r->batch * PAGE);
	if (r->entries && (r->stream || r->here))
		return r;
	log_error(0, "dedup: %s", g ? gpu_error(g) : "no memory");
	dedup_reader_close(r);
	return NULL;
}

void dedup_reader_close(struct dedup_reader *r)
{
	if (!r)
		return;
	page_hash_close(r->stream);
	free(r->here);
	free(r->entries);
	free(r);
}

const struct dedup_reading *dedup_reader_reading(struct dedup_reader *r)
{
	r->reading.device_ns = r->stream ? page_hash_device_ns(r->stream) : 0;
	return &r->reading;
}

/* ---- a batch: pages that have been copied are hashed ---- */

static void take_hashes(struct dedup_reader *r, struct dedup_pages *to, const uint64_t *hashes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to->all[r->hashed++].hash = hashes[i];
}

static void hash_here(struct dedup_reader *r, struct dedup_pages *to)
{
	for (size_t i = 0; i < r->waiting; i++)
		to->all[r->hashed++].hash = page_hash(r->here + i * PAGE, r->secret);
}

/* Sleeps for as long as we have had more of the processor than our part. */
static void keep_to_part(const struct dedup_reader *r)
{
	uint64_t due = (own_cpu_ns() - r->cpu_began) * 100 / r->percent, passed = now_ns() - r->began;

	if (due > passed)
		nanosleep(&(struct timespec){ (time_t)((due - passed) / 1000000000), (long)((due - passed) % 1000000000) },
			  NULL);
}

/* A device has a batch under way while the next one is filled. */
static int send_batch(struct dedup_reader *r, struct dedup_pages *to)
{
	uint64_t began = now_ns();
	const uint64_t *hashes;
	size_t n = 0;
	int err = 0;

	if (r->stream) {
		err = page_hash_next(r->stream, r->waiting, &hashes, &n);
		take_hashes(r, to, hashes, n);
	} else {
		hash_here(r, to);
	}
	r->reading.hash_ns += now_ns() - began;
	r->waiting = 0;
	keep_to_part(r);
	return err;
}

int dedup_reader_flush(struct dedup_reader *r, struct dedup_pages *to)
{
	int err = r->waiting ? send_batch(r, to) : 0;

	return err ?: r->stream ? send_batch(r, to) : 0;
}

/* ---- pages of a process ---- */

static int append(struct dedup_pages *to, const struct dedup_page *page)
{
	if (to->n == to->size) {
		size_t size = to->size ? to->size * 2 : 4096;
		struct dedup_page *all = reallocarray(to->all, size, sizeof(*all));

		if (!all)
			return -ENOMEM;
		to->all = all;
		to->size = size;
	}
	to->all[to->n++] = *page;
	return 0;
}

static uint8_t *room(struct dedup_reader *r)
{
	return (r->stream ? (uint8_t *)page_hash_buffer(r->stream) : r->here) + r->waiting * PAGE;
}

/*
 * Copies those of @pages that are next to each other; returns how many, 0 if the first one has gone, or -errno.
 * process_vm_readv() would take two thirds of the time. But it waits for the owner's mmap_lock in a way that not even a kill
 * ends; and it pins pages, for which the kernel first gives each process its own copy of what is merged or shared since a fork.
 */
static ssize_t copy_pages(struct dedup_reader *r, const struct target *t, const struct dedup_page *pages, size_t n)
{
	uint64_t began = now_ns();
	size_t run = 1;
	ssize_t got;

	while (run < n && pages[run].address == pages[0].address + run * PAGE)
		run++;
	dedup_reading_begin(t->pid);
	got = pread(t->memory, room(r), run * PAGE, (off_t)pages[0].address);
	r->reading.read_ns += now_ns() - began;
	if (got < 0)
		return errno == EIO || errno == EFAULT ? 0 : -errno;
	return got / PAGE;
}

static int add_pages(struct dedup_reader *r, const struct target *t, struct dedup_pages *to, const struct dedup_page *pages,
		     size_t n)
{
	while (n) {
		ssize_t got = copy_pages(r, t, pages, n < r->batch - r->waiting ? n : r->batch - r->waiting);
		int err = got < 0 ? (int)got : 0;

		for (ssize_t i = 0; i < got && !err; i++)
			err = append(to, &pages[i]);
		if (err)
			return err;
		r->waiting += (size_t)got;
		if (r->waiting == r->batch)
			err = send_batch(r, to);
		if (err)
			return err;
		if (!got) {
			r->reading.vanished++;
			got = 1;
		}
		pages += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Of @n entries that pagemap has of what begins at @address */
static int add_entries(struct dedup_reader *r, const struct target *t, uint64_t address, size_t n, bool huge,
		       struct dedup_pages *to)
{
	struct dedup_page found[BATCH];
	size_t nr = 0;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		uint64_t entry = r->entries[i];

		if ((entry & (PM_PRESENT | PM_FILE)) != PM_PRESENT)
			continue;
		found[nr++] = (struct dedup_page){ .frame = entry & PM_FRAME,
						   .address = address + i * PAGE,
						   .process = t->process,
						   .owner = t->owner,
						   .exclusive = entry & PM_EXCLUSIVE,
						   .huge = huge };
		if (nr == BATCH) {
			err = add_pages(r, t, to, found, nr);
			nr = 0;
		}
	}
	return err ?: add_pages(r, t, to, found, nr);
}

/* What is there from @begin to @end, page by page */
static int read_range(struct dedup_reader *r, const struct target *t, uint64_t begin, uint64_t end, bool huge,
		      struct dedup_pages *to)
{
	int err = 0;

	while (begin < end && !err) {
		uint64_t began = now_ns();
		size_t want = (end - begin) / PAGE < LOOK ? (size_t)((end - begin) / PAGE) : LOOK;
		ssize_t got;

		dedup_reading_begin(t->pid);
		got = pread(t->pagemap, r->entries, want * sizeof(*r->entries), (off_t)(begin / PAGE * sizeof(*r->entries)));

		r->reading.look_ns += now_ns() - began;
		if (got <= 0) /* 0: the process has ended */
			return got ? -errno : -ESRCH;
		err = add_entries(r, t, begin, (size_t)got / sizeof(*r->entries), huge, to);
		begin += (uint64_t)got / sizeof(*r->entries) * PAGE;
	}
	return err;
}

/* Ranges with pages that are there, from *@begin on, which moves on. Their number, or -errno; -ENOTTY: before Linux 6.7 */
static int find_ranges(struct dedup_reader *r, const struct target *t, uint64_t *begin, uint64_t end,
		       struct page_region ranges[RANGES])
{
	struct pm_scan_arg scan = { .size = sizeof(scan),
				    .start = *begin,
				    .end = end,
				    .vec = (uintptr_t)ranges,
				    .vec_len = RANGES,
				    .category_mask = PAGE_IS_PRESENT | PAGE_IS_FILE,
				    .category_inverted = PAGE_IS_FILE,
				    .return_mask = PAGE_IS_PRESENT | PAGE_IS_HUGE };
	uint64_t began = now_ns();
	int n;

	dedup_reading_begin(t->pid);
	n = ioctl(t->pagemap, PAGEMAP_SCAN, &scan);

	r->reading.look_ns += now_ns() - began;
	if (n < 0)
		return -errno;
	*begin = scan.walk_end;
	return n;
}

static int read_mapping(struct dedup_reader *r, const struct target *t, uint64_t begin, uint64_t end, struct dedup_pages *to)
{
	struct page_region ranges[RANGES];
	int n, err = 0;

	while (begin < end && !err) {
		n = find_ranges(r, t, &begin, end, ranges);
		if (n == -ENOTTY && end - begin <= VAST)
			return read_range(r, t, begin, end, false, to);
		if (n == -ENOTTY)
			r->reading.vast++;
		if (n < 0)
			return n == -ENOTTY ? 0 : n;
		for (int i = 0; i < n && !err; i++)
			err = read_range(r, t, ranges[i].start, ranges[i].end, ranges[i].categories & PAGE_IS_HUGE, to);
	}
	return err;
}

/* ---- mappings of a process ---- */

static bool is_huge(pid_t pid, uint64_t begin, uint64_t end, const char *name)
{
	const uint64_t size = 2 << 20; /* of the smallest huge page */
	struct statfs st;
	char path[96];

	if (!strncmp(name, "/anon_hugepage", 14))
		return true;
	if (name[0] != '/' || begin % size || end % size)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, begin, end);
	return !statfs(path, &st) && st.f_type == HUGETLBFS_MAGIC;
}

/* Is it private memory, of a kind that KSM takes? */
static bool is_wanted(struct dedup_reader *r, pid_t pid, uint64_t begin, uint64_t end, const char *perms, const char *name)
{
	if (perms[3] != 'p' && (!strncmp(name, "/memfd:", 7) || !strncmp(name, "/dev/shm/", 9)))
		r->reading.shared++;
	if (perms[3] != 'p' || !strncmp(name, "[v", 2)) /* vdso, vvar, vsyscall */
		return false;
	if (is_huge(pid, begin, end, name)) {
		r->reading.huge++;
		return false;
	}
	return true;
}

/* Of the process that was seen first. What is read belongs to it as long as its memory is the same. */
static int open_at(const struct identity *id, const char *name)
{
	int fd = openat(id->proc, name, O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

int dedup_read_again(struct dedup_reader *r, const struct identity *id, const struct dedup_page *pages, size_t n,
		     struct dedup_pages *to)
{
	_close_ int memory = open_at(id, "mem");
	struct target t = { .pid = id->pid, .memory = memory };

	if (memory < 0)
		return memory;
	if (identity_check(id))
		return -ESRCH;
	return add_pages(r, &t, to, pages, n);
}

int dedup_read(struct dedup_reader *r, const struct identity *id, uint32_t process, uint16_t owner, struct dedup_pages *to)
{
	_close_ int memory = open_at(id, "mem");
	int file = memory < 0 ? memory : open_at(id, "maps"), err = 0;
	_fclose_ FILE *maps = file < 0 ? NULL : fdopen(file, "r");
	struct target t = { .pid = id->pid, .process = process, .owner = owner, .pagemap = id->pagemap, .memory = memory };
	char perms[5], name[32], line[4352];
	uint64_t begin, end;

	if (id->pagemap < 0 || !maps)
		return id->pagemap < 0 ? id->pagemap : file < 0 ? file : -ENOMEM;
	if (identity_check(id))
		return -ESRCH;
	while (!err && fgets(line, sizeof(line), maps)) {
		name[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %31s", &begin, &end, perms, name) < 3)
			continue;
		if (is_wanted(r, id->pid, begin, end, perms, name))
			err = read_mapping(r, &t, begin, end, to);
	}
	return err;
}
