// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dedup/groups.h"
#include "agent/dedup/sort.h"

static int compare_places(const struct dedup_page *a, const struct dedup_page *b)
{
	if (a->process != b->process)
		return a->process < b->process ? -1 : 1;
	return (a->address > b->address) - (a->address < b->address);
}

void dedup_mark_changing(const struct dedup_pages *first, struct dedup_pages *second)
{
	size_t was = 0;

	for (size_t i = 0; i < second->n; i++) {
		struct dedup_page *page = &second->all[i];

		while (was < first->n && compare_places(&first->all[was], page) < 0)
			was++;
		page->changing = was == first->n || compare_places(&first->all[was], page) ||
				 first->all[was].hash != page->hash;
	}
}

/* ---- groups ---- */

/* What each owner has of a content. */
struct group {
	uint64_t frames[DEDUP_OWNERS_MAX];
	uint16_t owners[DEDUP_OWNERS_MAX]; /* those that have it, merged or not */
	bool has[DEDUP_OWNERS_MAX];
	size_t nr_owners;
	uint64_t nr_frames;
};

/* Zeroes that have one frame are the kernel's page of zeroes, as a rule: nobody has merged them. */
static void add_page(struct group *g, struct dedup_sums *s, const struct dedup_page *page, bool new_frame, bool zero)
{
	if (!g->has[page->owner]) {
		g->has[page->owner] = true;
		g->owners[g->nr_owners++] = page->owner;
	}
	if (new_frame) {
		g->frames[page->owner]++;
		g->nr_frames++;
	} else if (!zero) {
		s->owners[page->owner].merged++;
		s->merged++;
	}
}

static void add_pairs(const struct group *g, struct dedup_sums *s)
{
	for (size_t i = 0; i < g->nr_owners; i++)
		for (size_t j = 0; j < g->nr_owners; j++)
			if (g->owners[i] < g->owners[j])
				s->pairs[g->owners[i] * s->nr + g->owners[j]]++;
}

/* Of a content that is not zeroes */
static void add_potential(const struct group *g, struct dedup_sums *s)
{
	add_pairs(g, s);
	if (!g->nr_frames)
		return;
	s->potential += g->nr_frames - 1;
	for (size_t i = 0; i < g->nr_owners; i++) {
		struct dedup_owner *o = &s->owners[g->owners[i]];
		uint64_t frames = g->frames[g->owners[i]];

		o->own += frames ? frames - 1 : 0;
		o->common += g->nr_owners > 1 ? frames : 0;
		o->potential += (double)(frames * (g->nr_frames - 1)) / (double)g->nr_frames;
	}
}

static void mark_worth(struct dedup_page *pages, size_t n, struct dedup_sums *s)
{
	for (size_t i = 0; i < n; i++) {
		pages[i].worth = !pages[i].changing;
		s->owners[pages[i].owner].huge += pages[i].worth && pages[i].huge;
	}
}

/* Empties @g for the next one. */
static void close_group(struct group *g, struct dedup_sums *s, bool zero)
{
	if (!zero)
		add_potential(g, s);
	for (size_t i = 0; i < g->nr_owners; i++) {
		if (zero)
			s->owners[g->owners[i]].zero += g->frames[g->owners[i]];
		g->frames[g->owners[i]] = 0;
		g->has[g->owners[i]] = false;
	}
	g->nr_owners = 0;
	g->nr_frames = 0;
}

/* All pages of one content, of which those that are merged already have the same frame and follow each other. */
static void sum_content(struct dedup_page *pages, size_t n, uint64_t zero, struct group *g, struct dedup_sums *s)
{
	const struct dedup_page *last = NULL;

	for (size_t i = 0; i < n; i++) {
		s->owners[pages[i].owner].present++;
		if (pages[i].changing) {
			s->owners[pages[i].owner].changing++;
			continue;
		}
		add_page(g, s, &pages[i], !last || last->frame != pages[i].frame, pages->hash == zero);
		last = &pages[i];
	}
	if (g->nr_frames > 1 && pages->hash != zero)
		mark_worth(pages, n, s);
	close_group(g, s, pages->hash == zero);
}

int dedup_sum(struct dedup_pages *pages, size_t owners, uint64_t zero, struct gpu *g, struct dedup_sums *ret)
{
	struct group *group = calloc(1, sizeof(*group));
	size_t end;

	memset(ret, 0, sizeof(*ret));
	ret->nr = owners;
	ret->pairs = calloc(owners * owners ?: 1, sizeof(*ret->pairs));
	if (!group || !ret->pairs || dedup_sort(pages, g, &ret->device_ns)) {
		free(group);
		dedup_sums_free(ret);
		return -ENOMEM;
	}
	for (size_t i = 0; i < pages->n; i = end) {
		for (end = i + 1; end < pages->n && pages->all[end].hash == pages->all[i].hash;)
			end++;
		sum_content(&pages->all[i], end - i, zero, group, ret);
	}
	free(group);
	return 0;
}

void dedup_sums_free(struct dedup_sums *s)
{
	free(s->pairs);
	s->pairs = NULL;
}
