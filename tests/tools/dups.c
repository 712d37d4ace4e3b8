// SPDX-License-Identifier: GPL-2.0
/*
 * dups PAGES PERCENT RUN [WRITES]: memory of which PERCENT of the pages, in runs of RUN, have the same content in every process
 * of this program, each another one, and the others have one that no other page has. Says "ready" and its address when it is
 * there. With WRITES that many pages a second, chosen at random, are checked, written anew to a content that no other has, and,
 * when 16 more have been, back to what they were. On SIGTERM checks all pages, and tells how many were wrong by its status.
 * In the environment:
 *	MERGEABLE	it tells KSM of all its memory itself
 *	KIND		memory is of that kind: "shared", or "hugetlb"
 *	MAPPINGS	it has so many more, of a page each
 *	FORKS		it always has a child, each for half a second
 *	DISPATCH	its system calls may be dispatched to itself, though none is
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/pages.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static volatile sig_atomic_t stopped;
static char selector; /* 0: this call is not dispatched */

static void on_term(int nr)
{
	stopped = nr;
}

static int is_wrong(const uint64_t *page, uint64_t content)
{
	for (size_t i = 0; i < WORDS; i++)
		if (page[i] != mix(content * WORDS + i))
			return 1;
	return 0;
}

/* Pages, what each has to contain, and those that have it for a while only. */
struct memory {
	size_t pages, wrong;
	uint64_t *memory, *contents;
	uint64_t next, random; /* content that no other has */
	struct {
		size_t page;
		uint64_t content;
	} changed[16];
	size_t nr_changed;
};

static uint64_t *page_of(const struct memory *m, size_t nr)
{
	return m->memory + nr * WORDS;
}

static void set_content(struct memory *m, size_t page, uint64_t content)
{
	m->wrong += (size_t)is_wrong(page_of(m, page), m->contents[page]);
	m->contents[page] = content;
	fill(page_of(m, page), content);
}

static void write_one(struct memory *m)
{
	size_t slot = m->nr_changed++ % 16, page = (m->random = mix(m->random)) % m->pages;

	if (m->nr_changed > 16)
		set_content(m, m->changed[slot].page, m->changed[slot].content);
	m->changed[slot].page = page;
	m->changed[slot].content = m->contents[page];
	set_content(m, page, m->next++);
}

static uint64_t *map(size_t bytes)
{
	const char *kind = getenv("KIND") ?: "";
	int shared = !strcmp(kind, "shared") ? memfd_create("dups", MFD_CLOEXEC) : -1;
	int flags = !strcmp(kind, "hugetlb") ? MAP_HUGETLB : 0;
	void *at;

	if (shared >= 0 && ftruncate(shared, (off_t)bytes))
		return NULL;
	flags |= shared >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, shared, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (shared < 0 && !(flags & MAP_HUGETLB))
		madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

/* The kernel joins what is alike, so every second one is another. */
static int make_mappings(size_t n)
{
	char *at = mmap(NULL, (n + 1) * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < n && at != MAP_FAILED; i += 2)
		if (mprotect(at + i * PAGE, PAGE, PROT_READ | PROT_WRITE))
			return -1;
	return at == MAP_FAILED ? -1 : 0;
}

static void fork_one(void)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	size_t pages = argc > 3 ? strtoul(argv[1], NULL, 10) : 0, percent = pages ? strtoul(argv[2], NULL, 10) : 0;
	size_t run = pages ? strtoul(argv[3], NULL, 10) : 0, writes = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	struct memory m = { .pages = pages };

	if (!pages || !run || percent > 100) {
		fputs("usage: dups PAGES PERCENT RUN [WRITES]\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, on_term);
	m.next = m.random = contents_of(getpid());
	m.memory = map(pages * PAGE);
	m.contents = malloc(pages * sizeof(*m.contents));
	if (!m.memory || !m.contents || make_mappings(strtoul(getenv("MAPPINGS") ?: "0", NULL, 10)))
		return 2;
	if (getenv("DISPATCH") && prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector))
		return 2;
	if (getenv("MERGEABLE") && madvise(m.memory, pages * PAGE, MADV_MERGEABLE))
		return 2;
	for (size_t i = 0; i < pages; i++) {
		/* Of every hundred runs the same ones in every process, spread evenly. */
		m.contents[i] = i / run * percent % 100 < percent ? i + 1 : m.next++;
		fill(page_of(&m, i), m.contents[i]);
	}
	printf("ready %p\n", (void *)m.memory);
	fflush(stdout);
	while (!stopped) {
		if (writes) {
			write_one(&m);
			nanosleep(&(struct timespec){ .tv_nsec = (long)(1000000000 / writes) % 1000000000 }, NULL);
		} else if (getenv("FORKS")) {
			fork_one();
		} else {
			pause();
		}
	}
	for (size_t i = 0; i < pages; i++)
		m.wrong += (size_t)is_wrong(page_of(&m, i), m.contents[i]);
	if (m.wrong)
		fprintf(stderr, "dups: %zu pages are wrong\n", m.wrong);
	return m.wrong ? 1 : 0;
}
