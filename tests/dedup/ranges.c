// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* Ranges that KSM is told of: all pages that are worth it are in them, never more ranges than may be, and the nearest joined.
 */
#include <stdlib.h>

#include "agent/dedup/ranges.h"
#include "tests/harness/tap.h"

#define PAGE PAGE_HASH_PAGE

/* Pages at these numbers of a process; 0 ends. */
static size_t pages_at(const unsigned int *numbers, struct dedup_page *ret)
{
	size_t n = 0;

	for (; numbers[n]; n++)
		ret[n] = (struct dedup_page){ .address = (uint64_t)numbers[n] * PAGE, .worth = true };
	return n;
}

/* "3-5 9": first and last page of each range */
static void print_ranges(const struct dedup_plan *p, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < p->n && len < size; i++) {
		unsigned long first = p->ranges[i].begin / PAGE, last = first + p->ranges[i].length / PAGE - 1;

		len += (size_t)snprintf(ret + len, size - len, first == last ? "%s%lu" : "%s%lu-%lu", i ? " " : "", first,
					last);
	}
}

static const char *text(const char *name, const char *claim)
{
	static char all[128];

	snprintf(all, sizeof(all), "ranges: %s: %s", name, claim);
	return all;
}

static void check(const char *what, const unsigned int *numbers, size_t max, const char *expected, unsigned int others)
{
	struct dedup_page pages[16];
	struct dedup_plan plan;
	char got[256];

	if (!ok(dedup_plan(pages, pages_at(numbers, pages), max, &plan) == 0, "%s", text(what, "a plan is made")))
		return;
	print_ranges(&plan, got, sizeof(got));
	is_str(expected, got, text(what, "the ranges have the pages"));
	is_u64(others, plan.others, text(what, "other pages in the ranges are counted"));
	dedup_plan_free(&plan);
}

#define CHECK(what, max, expected, others, ...) check(what, (const unsigned int[]){ __VA_ARGS__, 0 }, max, expected, others)

/* Random pages: every one is in a range, and no range begins or ends with another one. */
static void test_random(void)
{
	struct dedup_page pages[500];
	unsigned int wrong = 0, many = 0;

	for (unsigned int seed = 1; seed <= 200; seed++) {
		struct dedup_plan plan;
		size_t n = 0, at = 0, max = seed % 40 + 1;

		srandom(seed);
		for (unsigned int page = 1; n < 500; page++)
			if (random() % 20 == 0 || (n && random() % 3 == 0))
				pages[n++] = (struct dedup_page){ .address = (uint64_t)page * PAGE };
		if (dedup_plan(pages, n, max, &plan))
			return;
		many += plan.n > max;
		for (size_t i = 0; i < plan.n; i++) {
			uint64_t end = plan.ranges[i].begin + plan.ranges[i].length;

			wrong += pages[at].address != plan.ranges[i].begin;
			while (at < n && pages[at].address < end)
				at++;
			wrong += pages[at - 1].address + PAGE != end;
		}
		wrong += at != n;
		dedup_plan_free(&plan);
	}
	is_u64(0, wrong, "ranges: random pages: all are in ranges, which begin and end with one");
	is_u64(0, many, "ranges: random pages: no plan exceeds its maximum");
}

static void test_sort(void)
{
	struct dedup_page all[] = {
		{ .process = 2, .address = 9 * PAGE, .worth = true },
		{ .process = 1, .address = 7 * PAGE },
		{ .process = 1, .address = 5 * PAGE, .worth = true },
		{ .process = 2, .address = 1 * PAGE, .worth = true },
		{ .process = 0, .address = 1 * PAGE },
	};
	struct dedup_pages pages = { .all = all, .n = 5 };

	is_u64(3, dedup_sort_worth(&pages), "ranges: sort counts pages that are worth merging");
	ok(all[0].process == 1 && all[1].process == 2 && all[1].address == PAGE && all[2].address == 9 * PAGE,
	   "ranges: sort puts pages worth merging first, by process and address");
	ok(!all[3].worth && !all[4].worth, "ranges: sort puts pages not worth merging last");
}

int main(void)
{
	CHECK("one page", 9, "7", 0, 7);
	CHECK("pages next to each other", 9, "7-9", 0, 7, 8, 9);
	CHECK("few other pages between two", 9, "7-12", 4, 7, 12);
	CHECK("many other pages between two", 9, "7 13", 0, 7, 13);
	CHECK("as many ranges as may be", 3, "10 20 30", 0, 10, 20, 30);
	CHECK("one range too many joins the nearest", 2, "10 20-29", 8, 10, 20, 29);
	CHECK("equal gaps join the first", 2, "10-20 30", 9, 10, 20, 30);
	CHECK("at most one range", 1, "10-40", 27, 10, 20, 30, 40);
	CHECK("at most no range", 0, "", 0, 10, 20);
	CHECK("one page and at most one range", 1, "10", 0, 10);
	test_random();
	test_sort();
	return done_testing();
}
