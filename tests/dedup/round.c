// SPDX-License-Identifier: GPL-2.0
/* budget: 60, lane: free */
/*
 * What processes have in memory is read, hashed and grouped as a comparison of all pages with all has it: of children with
 * memory that is known, and with all that a process has besides.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dedup/groups.h"
#include "agent/dedup/pages.h"
#include "agent/dedup/sort.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define PAGE PAGE_HASH_PAGE
#define KNOWN 512 /* pages of a child's known memory */
#define NOT_THERE 4 /* of them, at the end */

/* Drivers keep what they have once made. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libpocl\nleak:libOpenCL\nleak:libLLVM\nleak:libclang\nleak:pocl\n";
}

static uint8_t secret[PAGE_HASH_SECRET];

/* ---- children ---- */

struct child {
	pid_t pid;
	uint8_t *known, *shared; /* where they are in it */
	int tell, told; /* pipes */
};

static void fill(uint8_t *page, uint32_t content)
{
	uint32_t *words = (uint32_t *)(void *)page;

	for (size_t i = 0; content && i < PAGE / sizeof(*words); i++)
		words[i] = content * 2654435761U + (uint32_t)i;
}

/* Writes to the first @n known pages each time it is told to. */
static void serve(uint8_t *known, int from, int to)
{
	uint8_t n;

	while (read(from, &n, 1) == 1) {
		for (size_t i = 0; i < n; i++)
			known[i * PAGE]++;
		if (write(to, &n, 1) != 1)
			break;
	}
	_exit(0);
}

/* A child whose known page i has content (@from + i / @times); none of it if that is 0. */
static struct child start(uint32_t from, uint32_t times)
{
	int there[2], back[2];
	struct child c = { .known = mmap(NULL, KNOWN * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			   .shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) };

	if (c.known == MAP_FAILED || c.shared == MAP_FAILED || pipe(there) || pipe(back))
		exit(2);
	c.pid = fork();
	if (!c.pid) {
		close(there[1]);
		close(back[0]);
		/* Not what the parent has by chance: its huge pages, and untouched ones */
		madvise(c.known, KNOWN * PAGE, MADV_NOHUGEPAGE);
		for (uint32_t i = 0; i < KNOWN; i++) {
			c.known[i * PAGE] = 0;
			fill(c.known + i * PAGE, from + i / times);
		}
		fill(c.shared, 7);
		if (mmap(NULL, 2UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED ||
		    madvise(c.known + (KNOWN - NOT_THERE) * PAGE, NOT_THERE * PAGE, MADV_DONTNEED) ||
		    write(back[1], "", 1) != 1)
			_exit(2);
		serve(c.known, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	c.tell = there[1];
	c.told = back[0];
	if (read(c.told, &(char){ 0 }, 1) != 1)
		exit(2);
	munmap(c.known, KNOWN * PAGE);
	munmap(c.shared, PAGE);
	return c;
}

static void change(const struct child *c, uint8_t n)
{
	if (write(c->tell, &n, 1) != 1 || read(c->told, &n, 1) != 1)
		exit(2);
}

static void stop(struct child *c)
{
	close(c->tell);
	close(c->told);
	kill(c->pid, SIGKILL); /* its siblings have its pipe, too */
	waitpid(c->pid, NULL, 0);
}

static const char *text(const char *name, const char *claim)
{
	static char all[128];

	snprintf(all, sizeof(all), "dedup: %s: %s", name, claim);
	return all;
}

/* ---- reading ---- */

static struct dedup_reading reading;

static int read_child(struct dedup_reader *r, pid_t pid, uint32_t nr, struct dedup_pages *to)
{
	struct identity id;
	int err = identity_open(pid, &id) ?: dedup_read(r, &id, nr, (uint16_t)nr, to);

	identity_close(&id);
	return err;
}

static int read_children(struct gpu *g, const struct child *children, size_t n, struct dedup_pages *to)
{
	struct dedup_reader *r = dedup_reader_open(g, secret, 100);
	int err = r ? 0 : -ENOMEM;

	to->n = 0;
	for (size_t i = 0; i < n && !err; i++)
		err = read_child(r, children[i].pid, (uint32_t)i, to);
	err = err ?: dedup_reader_flush(r, to);
	if (r)
		reading = *dedup_reader_reading(r);
	dedup_reader_close(r);
	return err;
}

static const struct dedup_page *find(const struct dedup_pages *pages, uint32_t process, const uint8_t *address)
{
	for (size_t i = 0; i < pages->n; i++)
		if (pages->all[i].process == process && pages->all[i].address == (uintptr_t)address)
			return &pages->all[i];
	return NULL;
}

/* How many known pages of the child were found, with the hash of their content */
static size_t found(const struct dedup_pages *pages, const struct child *children, uint32_t nr, uint32_t from, uint32_t times)
{
	uint8_t page[PAGE];
	size_t n = 0;

	for (uint32_t i = 0; i < KNOWN; i++) {
		const struct dedup_page *p = find(pages, nr, children[nr].known + i * PAGE);

		memset(page, 0, sizeof(page));
		fill(page, from + i / times);
		n += p && p->hash == page_hash(page, secret);
	}
	return n;
}

/* ---- all contents compared ---- */

static uint8_t *contents(const struct dedup_pages *pages, const struct child *children)
{
	uint8_t *all = malloc(pages->n * PAGE);

	for (size_t i = 0; i < pages->n; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/mem", children[pages->all[i].process].pid);
		fd = open(path, O_RDONLY);
		if (pread(fd, all + i * PAGE, PAGE, (off_t)pages->all[i].address) != PAGE)
			exit(2);
		close(fd);
	}
	return all;
}

/* What is sorted: pages that do not change, by content and then frame */
struct page {
	const uint8_t *content;
	uint64_t frame;
};

static int compare_pages(const void *p, const void *q)
{
	const struct page *a = p, *b = q;
	int order = memcmp(a->content, b->content, PAGE);

	return order ?: (a->frame > b->frame) - (a->frame < b->frame);
}

static void sum_by_comparison(const struct dedup_pages *pages, const uint8_t *all, uint64_t *potential, uint64_t *merged,
			      uint64_t *zero, uint64_t *changing)
{
	static const uint8_t zeroes[PAGE];
	_free_ struct page *sorted = calloc(pages->n, sizeof(*sorted));
	size_t n = 0;

	*potential = *merged = *zero = *changing = 0;
	for (size_t i = 0; i < pages->n; i++)
		if (pages->all[i].changing)
			++*changing;
		else
			sorted[n++] = (struct page){ all + i * PAGE, pages->all[i].frame };
	qsort(sorted, n, sizeof(*sorted), compare_pages);
	for (size_t i = 0; i < n; i++) {
		bool like_last = i && !memcmp(sorted[i].content, sorted[i - 1].content, PAGE);
		bool new_frame = !like_last || sorted[i].frame != sorted[i - 1].frame;

		if (!memcmp(sorted[i].content, zeroes, PAGE))
			*zero += new_frame;
		else if (!new_frame)
			++*merged;
		else if (like_last)
			++*potential;
	}
}

static void compare_sums(struct gpu *g, struct dedup_pages *pages, const struct child *children, size_t n, const char *what)
{
	_free_ uint8_t *all = contents(pages, children);
	static const uint8_t zeroes[PAGE];
	uint64_t potential, merged, zero, changing, zeroes_summed = 0, changing_summed = 0;
	struct dedup_sums sums;

	sum_by_comparison(pages, all, &potential, &merged, &zero, &changing);
	ok(!dedup_sum(pages, n, page_hash(zeroes, secret), g, &sums), "dedup: %s: pages are summed", what);
	for (size_t i = 0; i < n; i++) {
		zeroes_summed += sums.owners[i].zero;
		changing_summed += sums.owners[i].changing;
	}
	is_u64(potential, sums.potential, text(what, "the potential is that of a comparison"));
	is_u64(merged, sums.merged, text(what, "merged frames are those of a comparison"));
	is_u64(zero, zeroes_summed, text(what, "zero frames are those of a comparison"));
	is_u64(changing, changing_summed, text(what, "changing pages are those of a comparison"));
	printf("# of %zu pages: %llu, %llu, %llu, %llu\n", pages->n, (unsigned long long)potential, (unsigned long long)merged,
	       (unsigned long long)zero, (unsigned long long)changing);
	dedup_sums_free(&sums);
}

/* ---- tests ---- */

static void test_reading(struct gpu *g, const char *how)
{
	struct child children[] = { start(1, 2), start(101, 1), start(0, KNOWN) };
	struct dedup_pages pages = { 0 };

	ok(!read_children(g, children, 3, &pages), "dedup: %s: three processes are read", how);
	is_u64(KNOWN - NOT_THERE, found(&pages, children, 0, 1, 2),
	       text(how, "known pages of the first process have their hashes"));
	is_u64(KNOWN - NOT_THERE, found(&pages, children, 1, 101, 1),
	       text(how, "known pages of the second process have their hashes"));
	is_u64(KNOWN - NOT_THERE, found(&pages, children, 2, 0, KNOWN),
	       text(how, "zeroes of the third process have their hash"));
	ok(!find(&pages, 0, children[0].shared), "dedup: %s: shared memory is left out", how);
	for (size_t i = 0; i < 3; i++)
		stop(&children[i]);
	free(pages.all);
}

/* Reading has left all in the frames where it was, and some of them are of several. */
static bool frames_as_before(const struct dedup_pages *first, const struct dedup_pages *second)
{
	size_t same = 0, common = 0;

	for (size_t i = 0; i < first->n && i < second->n; i++) {
		same += first->all[i].frame == second->all[i].frame;
		for (size_t j = 0; j < i && common < 50; j++)
			common += second->all[j].frame == second->all[i].frame;
	}
	return first->n == second->n && same == second->n && common == 50;
}

static void test_sums(struct gpu *g)
{
	struct child children[] = { start(1, 2), start(101, 1), start(0, KNOWN) };
	struct dedup_pages first = { 0 }, second = { 0 };
	struct dedup_sums sums;
	size_t marked = 0;

	ok(!read_children(NULL, children, 3, &first) && !read_children(NULL, children, 3, &second),
	   "dedup: processes are read twice");
	dedup_mark_changing(&first, &second);
	ok(frames_as_before(&first, &second), "dedup: pages shared since a fork stay shared when they are read");
	compare_sums(g, &second, children, 3, "quiet processes");
	ok(!dedup_sum(&second, 3, 0, g, &sums), "dedup: zeroes are summed like other pages");
	/* Contents 101 to 256 are in both; the first has each twice, but for the last two, whose pages have been given back. */
	ok(sums.pairs[1] >= 154, "dedup: pages that two processes have in common are found (%llu)",
	   (unsigned long long)sums.pairs[1]);
	ok(sums.owners[0].own >= 254 && sums.owners[1].own < 200,
	   "dedup: duplicates within one process are its own (%llu, %llu)", (unsigned long long)sums.owners[0].own,
	   (unsigned long long)sums.owners[1].own);
	dedup_sums_free(&sums);

	read_children(NULL, children, 3, &first);
	change(&children[1], 5);
	read_children(NULL, children, 3, &second);
	dedup_mark_changing(&first, &second);
	for (size_t i = 0; i < second.n; i++)
		marked += second.all[i].changing && second.all[i].process == 1 &&
			  second.all[i].address - (uintptr_t)children[1].known < KNOWN * PAGE;
	is_u64(5, marked, "dedup: pages written to between two readings are marked as changing");
	compare_sums(g, &second, children, 3, "busy processes");
	for (size_t i = 0; i < 3; i++)
		stop(&children[i]);
	free(first.all);
	free(second.all);
}

static void test_ended(void)
{
	struct child c = start(1, 1);
	struct dedup_pages pages = { 0 };
	int status;

	kill(c.pid, SIGKILL);
	waitpid(c.pid, &status, 0);
	is_u64((unsigned long long)-ESRCH, (unsigned long long)read_children(NULL, &c, 1, &pages),
	       "dedup: a process that has ended cannot be read");
	close(c.tell);
	close(c.told);
	free(pages.all);
}

/* Nothing, one page, and many of few contents. */
static void test_edges(struct gpu *g)
{
	struct dedup_pages pages = { 0 };
	struct dedup_sums sums;
	struct dedup_page one = { .hash = 5, .frame = 6 };

	ok(!dedup_sum(&pages, 1, 0, g, &sums) && !sums.potential, "dedup: no page at all has no potential");
	dedup_sums_free(&sums);
	pages = (struct dedup_pages){ &one, 1, 1 };
	ok(!dedup_sum(&pages, 1, 0, g, &sums) && !sums.potential && sums.owners[0].present == 1,
	   "dedup: one page has no potential");
	dedup_sums_free(&sums);
	pages = (struct dedup_pages){ calloc(100000, sizeof(one)), 100000, 100000 };
	for (size_t i = 0; i < pages.n; i++)
		pages.all[i] = (struct dedup_page){ .hash = (i % 10 + 1) << 60, .frame = i + 1, .owner = (uint16_t)(i % 2) };
	ok(!dedup_sum(&pages, 2, 0, g, &sums), "dedup: 100000 pages are summed");
	is_u64(100000 - 10, sums.potential, "dedup: all but ten of 100000 pages of ten contents are duplicates");
	is_u64(0, sums.pairs[1], "dedup: owners of different contents have none in common");
	dedup_sums_free(&sums);
	free(pages.all);
}

static void test_devices(void)
{
	struct gpu_list list;
	char why[192];

	gpu_list(&list);
	for (size_t i = 0; i < list.n; i++) {
		struct gpu *g = gpu_open(&list.devices[i], why);

		if (ok(g, "dedup: device %s opens", list.devices[i].name)) {
			test_edges(g);
			test_reading(g, list.devices[i].name);
			test_sums(g);
		}
		gpu_close(g);
	}
}

/* ---- what a device may name ---- */

static void test_numbers(void)
{
	static const struct {
		const char *name;
		uint32_t numbers[5];
		size_t n;
	} wrong[] = {
		{ "number behind the last page", { 0, 4 }, 2 },
		{ "largest number", { UINT32_MAX }, 1 },
		{ "number that is there twice", { 1, 2, 1 }, 3 },
		{ "more numbers than pages", { 0, 1, 2, 3, 0 }, 5 },
	};
	struct dedup_page all[4] = { { .hash = 4 }, { .hash = 1 }, { .hash = 3 }, { .hash = 1 } };
	struct dedup_pages pages = { .all = all, .n = 4 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		is_u64(EIO, (uint64_t)-dedup_sort_first(&pages, wrong[i].numbers, wrong[i].n),
		       text(wrong[i].name, "a device that answers so is not believed"));
	ok(all[0].hash == 4 && all[2].hash == 3, "dedup: numbers that are refused change no order");
	is_u64(0, (uint64_t)-dedup_sort_first(&pages, (const uint32_t[]){ 1, 3 }, 2), "dedup: right numbers are taken");
	ok(all[0].hash == 1 && all[1].hash == 1 && all[2].hash == 4, "dedup: right numbers come first");
}

int main(void)
{
	log_open("dedup", LOG_LEVEL_WARNING);
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37 + 11);
	test_edges(NULL);
	test_reading(NULL, "read by the processor");
	test_sums(NULL);
	test_ended();
	test_numbers();
	test_devices();
	return done_testing();
}
