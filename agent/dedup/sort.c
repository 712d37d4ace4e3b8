// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dedup/sort.h"
#include "agent/lib/log.h"
#include "gpu/kernels/duplicates.h"

static int compare_contents(const void *p, const void *q)
{
	const struct dedup_page *a = p, *b = q;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->frame > b->frame) - (a->frame < b->frame);
}

#define DIGIT 16 /* bits */

/* Moves @n pages into the order of 16 bits of their hashes; what has the same ones stays in order. */
static void sort_digit(const struct dedup_page *from, struct dedup_page *to, size_t n, unsigned int shift, size_t *places)
{
	size_t next = 0;

	memset(places, 0, sizeof(*places) << DIGIT);
	for (size_t i = 0; i < n; i++)
		places[(uint16_t)(from[i].hash >> shift)]++;
	for (size_t d = 0; d < 1 << DIGIT; d++) {
		size_t of_digit = places[d];

		places[d] = next;
		next += of_digit;
	}
	for (size_t i = 0; i < n; i++)
		to[places[(uint16_t)(from[i].hash >> shift)]++] = from[i];
}

/* Each run of pages whose hashes are equal but for the lower @bits: by all of the hash, then by frame. */
static void sort_runs(struct dedup_page *all, size_t n, unsigned int bits)
{
	size_t end;

	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && all[end].hash >> bits == all[i].hash >> bits;)
			end++;
		if (end > i + 1)
			qsort(&all[i], end - i, sizeof(*all), compare_contents);
	}
}

/*
 * The upper half of the hash by two passes; few different contents have the same one, so what is left to compare is short,
 * but for equal pages, of which each run is sorted by frame.
 */
static int sort_here(struct dedup_pages *pages)
{
	struct dedup_page *other = malloc((pages->n ?: 1) * sizeof(*other));
	size_t *places = malloc(sizeof(*places) << DIGIT);

	if (other && places) {
		sort_digit(pages->all, other, pages->n, 64 - 2 * DIGIT, places);
		sort_digit(other, pages->all, pages->n, 64 - DIGIT, places);
		sort_runs(pages->all, pages->n, 32);
	}
	free(places);
	free(other);
	return other && places ? 0 : -ENOMEM;
}

/* ---- by a device ---- */

/* Each number once, and of a page that there is: a device may compute wrongly. */
static bool take_first(const struct dedup_pages *pages, const uint32_t *numbers, size_t n, struct dedup_page *sorted,
		       bool *taken)
{
	for (size_t i = 0; i < n; i++) {
		if (numbers[i] >= pages->n || taken[numbers[i]])
			return false;
		sorted[i] = pages->all[numbers[i]];
		taken[numbers[i]] = true;
	}
	return true;
}

int dedup_sort_first(struct dedup_pages *pages, const uint32_t *numbers, size_t n)
{
	struct dedup_page *sorted = malloc(pages->n * sizeof(*sorted));
	bool *taken = calloc(pages->n, sizeof(*taken));
	int err = sorted && taken ? 0 : -ENOMEM;
	size_t next = n;

	if (!err && (n > pages->n || !take_first(pages, numbers, n, sorted, taken)))
		err = -EIO;
	if (!err) {
		for (size_t i = 0; i < pages->n; i++)
			if (!taken[i])
				sorted[next++] = pages->all[i];
		memcpy(pages->all, sorted, pages->n * sizeof(*sorted));
		sort_runs(pages->all, n, 0);
	}
	free(taken);
	free(sorted);
	return err;
}

static int sort_there(struct dedup_pages *pages, struct gpu *g, uint64_t *device_ns)
{
	uint64_t *hashes = malloc(pages->n * sizeof(*hashes));
	struct doubles found = { 0 };
	int err = -ENOMEM;

	for (size_t i = 0; i < pages->n && hashes; i++)
		hashes[i] = pages->all[i].hash;
	if (hashes) {
		err = duplicates_find(g, hashes, (uint32_t)pages->n, &found);
		if (err)
			log_warning("dedup: sorting here: %s", gpu_error(g));
	}
	free(hashes);
	if (!err) {
		err = dedup_sort_first(pages, found.numbers, found.n);
		if (err == -EIO)
			log_warning("dedup: sorting here: the device named pages that are not there, or one twice");
	}
	*device_ns += found.device_ns;
	free(found.numbers);
	return err;
}

int dedup_sort(struct dedup_pages *pages, struct gpu *g, uint64_t *device_ns)
{
	if (g && pages->n && pages->n <= UINT32_MAX && !sort_there(pages, g, device_ns))
		return 0;
	return sort_here(pages);
}
