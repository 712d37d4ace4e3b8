// SPDX-License-Identifier: GPL-2.0
/*
 * probe PAGES: what somebody learns from the time of his own writes. Half of its pages, chosen at random, have what those of
 * dups(PAGES, 100 %, runs of 1) have, the others what nobody has. Says "ready" when they are there. For each line that it
 * reads, a number, it writes a word to each page that many times over, and says Welch's t of the times of both halves, and
 * their means in ns: "t common others". A merged page is copied by the first write to it, and no more merged by the second.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/pages.h"

#define INTERRUPTED 50000 /* ns */

struct sample {
	double n, sum, squares;
};

/* What takes longer was interrupted by something else. */
static void add(struct sample *s, double value)
{
	if (value > INTERRUPTED)
		return;
	s->n++;
	s->sum += value;
	s->squares += value * value;
}

static double mean(const struct sample *s)
{
	return s->sum / s->n;
}

/* Of the mean */
static double variance(const struct sample *s)
{
	return (s->squares / s->n - mean(s) * mean(s)) / (s->n - 1);
}

static double ns_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) * 1e9 + (double)(now.tv_nsec - then->tv_nsec);
}

static int is_common(size_t page)
{
	return mix(page) & 1;
}

static void write_all(uint64_t *memory, size_t pages, struct sample of[2])
{
	for (size_t i = 0; i < pages; i++) {
		volatile uint64_t *word = memory + i * WORDS;
		uint64_t value = *word; /* so that the page is there, and what it is kept by, too */
		struct timespec began;

		clock_gettime(CLOCK_MONOTONIC, &began);
		*word = value;
		add(&of[is_common(i)], ns_since(&began));
	}
}

int main(int argc, char **argv)
{
	size_t pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int times;

	if (!pages || memory == MAP_FAILED) {
		fputs("usage: probe PAGES\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		fill(memory + i * WORDS, is_common(i) ? i + 1 : contents_of(getpid()) + i);
	printf("ready\n");
	fflush(stdout);
	while (scanf("%u", &times) == 1) {
		struct sample of[2] = { 0 };

		for (unsigned int i = 0; i < times; i++)
			write_all(memory, pages, of);
		printf("%.2f %.0f %.0f\n", (mean(&of[1]) - mean(&of[0])) / sqrt(variance(&of[0]) + variance(&of[1])),
		       mean(&of[1]), mean(&of[0]));
		fflush(stdout);
	}
	return 0;
}
