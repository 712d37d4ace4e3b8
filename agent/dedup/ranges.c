// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "agent/dedup/ranges.h"

/*
 * Gaps that are always closed, in pages: a call of madvise() by an owner, and the mappings that it makes, cost what ksmd takes
 * for some pages that are in vain (tests/bench/dedup.sh: 11 and 3 us).
 */
#define GAP_CLOSED 4

static int compare_worth(const void *p, const void *q)
{
	const struct dedup_page *a = p, *b = q;

	if (a->worth != b->worth)
		return a->worth ? -1 : 1;
	if (a->process != b->process)
		return a->process < b->process ? -1 : 1;
	return (a->address > b->address) - (a->address < b->address);
}

size_t dedup_sort_worth(struct dedup_pages *pages)
{
	size_t worth = 0;

	for (size_t i = 0; i < pages->n; i++)
		if (pages->all[i].worth) {
			struct dedup_page other = pages->all[worth];

			pages->all[worth++] = pages->all[i];
			pages->all[i] = other;
		}
	qsort(pages->all, worth, sizeof(*pages->all), compare_worth);
	return worth;
}

static int compare_sizes(const void *p, const void *q)
{
	const uint64_t *a = p, *b = q;

	return (*a > *b) - (*a < *b);
}

static uint64_t end_of(const struct inject_range *r)
{
	return r->begin + r->length;
}

/* The least width such that @n ranges become at most @max when all gaps of up to it are closed; *@ret_ties of that width may
 * be. */
static int find_gap(const struct inject_range *ranges, size_t n, size_t max, uint64_t *ret_gap, size_t *ret_ties)
{
	uint64_t *gaps = malloc(n * sizeof(*gaps));
	size_t close = n - max;

	if (!gaps)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < n; i++)
		gaps[i] = ranges[i + 1].begin - end_of(&ranges[i]);
	qsort(gaps, n - 1, sizeof(*gaps), compare_sizes);
	*ret_gap = gaps[close - 1];
	*ret_ties = close;
	while (*ret_ties && gaps[close - *ret_ties] != *ret_gap)
		(*ret_ties)--;
	free(gaps);
	return 0;
}

static int join(struct dedup_plan *p, size_t max)
{
	uint64_t gap;
	size_t ties, n = 1;
	int err = find_gap(p->ranges, p->n, max, &gap, &ties);

	for (size_t i = 1; i < p->n && !err; i++) {
		struct inject_range *last = &p->ranges[n - 1];
		uint64_t between = p->ranges[i].begin - end_of(last);

		if (between > gap || (between == gap && !ties)) {
			p->ranges[n++] = p->ranges[i];
			continue;
		}
		ties -= between == gap;
		p->others += between / PAGE_HASH_PAGE;
		last->length = end_of(&p->ranges[i]) - last->begin;
	}
	if (!err)
		p->n = n;
	return err;
}

int dedup_plan(const struct dedup_page *pages, size_t n, size_t max, struct dedup_plan *ret)
{
	*ret = (struct dedup_plan){ .ranges = malloc((n ?: 1) * sizeof(*ret->ranges)), .pages = n };
	if (!ret->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct inject_range *last = ret->n ? &ret->ranges[ret->n - 1] : NULL;
		uint64_t gap = last ? (pages[i].address - end_of(last)) / PAGE_HASH_PAGE : 0;

		if (last && gap <= GAP_CLOSED) {
			last->length += (gap + 1) * PAGE_HASH_PAGE;
			ret->others += gap;
		} else {
			ret->ranges[ret->n++] = (struct inject_range){ pages[i].address, PAGE_HASH_PAGE };
		}
	}
	if (ret->n <= max || !max) {
		ret->n = max ? ret->n : 0;
		return 0;
	}
	return join(ret, max);
}

void dedup_plan_free(struct dedup_plan *p)
{
	free(p->ranges);
	p->ranges = NULL;
}
