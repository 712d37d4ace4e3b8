// SPDX-License-Identifier: GPL-2.0
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dedup/ctl_gpu.h"
#include "agent/dedup/sort.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "gpu/kernels/duplicates.h"
#include "gpu/gpu.h"
#include "gpu/kernels/page_hash.h"

#define BENCH_PAGES 16384 /* 64 MiB: more than caches hold */
#define BENCH_BYTES ((uint64_t)BENCH_PAGES * PAGE_HASH_PAGE)
#define BATCH 2048 /* pages of a batch that is streamed: 8 MiB */
#define ROUNDS 5 /* the best counts: what else the machine does is not the device's fault */

static void find(struct gpu_list *list)
{
	gpu_list(list);
	for (size_t i = 0; i < ARRAY_SIZE(list->absent); i++)
		if (list->absent[i][0])
			log_info("%s", list->absent[i]);
}

json_t *ctl_gpu_list(void)
{
	struct gpu_list list;
	json_t *all = json_array();

	find(&list);
	for (size_t i = 0; i < list.n; i++) {
		const struct gpu_info *d = &list.devices[i];

		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:s}", "device", d->name, "kind",
						     d->is_cpu ? "cpu" : "gpu", "by", d->backend, "driver", d->driver,
						     "memory_bytes", (json_int_t)d->memory, "units", (int)d->units, "refused",
						     d->refused));
	}
	return all;
}

/* ---- how fast ---- */

struct rates {
	double resident, streamed, copied; /* bytes a second; 0: not measured */
	double within; /* read and written */
	double grouped; /* hashes a second */
};

/* Keeps the better rate. */
static void note(double *rate, uint64_t bytes, uint64_t ns)
{
	double r = (double)bytes * 1e9 / (double)(ns ? ns : 1);

	if (r > *rate)
		*rate = r;
}

static int time_copy(struct gpu *g, const struct gpu_host *from, const struct gpu_mem *to, double *rate)
{
	struct gpu_event done = { 0 };
	uint64_t ns = 0;
	int err = gpu_write(g, 0, to, 0, from->at, BENCH_BYTES, &done);

	err = err ?: gpu_wait(g, &done, &ns);
	if (!err)
		note(rate, BENCH_BYTES, ns);
	return err;
}

static int time_within(struct gpu *g, const struct gpu_mem *from, double *rate)
{
	struct gpu_event done = { 0 };
	struct gpu_mem to = { 0 };
	uint64_t ns = 0;
	int err = gpu_alloc(g, BENCH_BYTES, &to);

	err = err ?: gpu_copy(g, 0, &to, from, BENCH_BYTES, &done);
	err = err ?: gpu_wait(g, &done, &ns);
	if (!err)
		note(rate, 2 * BENCH_BYTES, ns);
	gpu_free(g, &to);
	return err;
}

static int time_resident(struct gpu *g, const struct gpu_mem *pages, double *rate)
{
	struct gpu_mem keys = { 0 }, hashes = { 0 };
	struct gpu_event done = { 0 };
	const uint32_t nr = BENCH_PAGES;
	uint64_t ns = 0;
	int err = gpu_alloc(g, PAGE_HASH_KEYS * sizeof(uint64_t), &keys);

	err = err ?: gpu_alloc(g, nr * sizeof(uint64_t), &hashes);
	if (!err) {
		const struct gpu_arg args[] = { GPU_ARG(pages->handle), GPU_ARG(keys.handle), GPU_ARG(hashes.handle),
						GPU_ARG(nr) };

		err = gpu_launch(g, 0, gpu_own(g, GPU_KERNEL_PAGE_HASH), 0, nr / PAGE_HASH_GROUP, args, ARRAY_SIZE(args),
				 &done);
	}
	err = err ?: gpu_wait(g, &done, &ns);
	if (!err)
		note(rate, BENCH_BYTES, ns);
	gpu_free(g, &hashes);
	gpu_free(g, &keys);
	return err;
}

/* As a round of deduplication does it: pages that lie about are brought together, copied, hashed, and the hashes come back. */
static int time_streamed(struct gpu *g, const uint8_t *pages, double *rate)
{
	static const uint8_t secret[PAGE_HASH_SECRET];
	struct page_hash_stream *s = page_hash_open(g, BATCH, secret);
	uint64_t began = now_ns();
	const uint64_t *hashes;
	int err = s ? 0 : -1;
	size_t n;

	for (size_t at = 0; at < BENCH_PAGES && !err; at += BATCH) {
		memcpy(page_hash_buffer(s), pages + at * PAGE_HASH_PAGE, (size_t)BATCH * PAGE_HASH_PAGE);
		err = page_hash_next(s, BATCH, &hashes, &n);
	}
	err = err ?: page_hash_next(s, 0, &hashes, &n);
	if (!err)
		note(rate, BENCH_BYTES, now_ns() - began);
	page_hash_close(s);
	return err;
}

/* As many hashes as a round over 4 GiB has, of which a quarter have a double. */
#define BENCH_HASHES (1U << 20)

static void make_hashes(uint64_t *hashes)
{
	for (uint64_t i = 0; i < BENCH_HASHES; i++)
		hashes[i] = (i % (BENCH_HASHES / 8 * 7) + 1) * 0x9e3779b97f4a7c15;
}

static int time_grouped(struct gpu *g, const uint64_t *hashes, double *rate)
{
	struct doubles found;
	uint64_t began = now_ns();
	int err = duplicates_find(g, hashes, BENCH_HASHES, &found);

	if (!err)
		note(rate, BENCH_HASHES, now_ns() - began);
	free(found.numbers);
	return err;
}

static int measure(struct gpu *g, const uint8_t *pages, const uint64_t *hashes, struct rates *ret)
{
	struct gpu_host host = { 0 };
	struct gpu_mem mem = { 0 };
	int err = gpu_host_alloc(g, BENCH_BYTES, &host);

	err = err ?: gpu_alloc(g, BENCH_BYTES, &mem);
	if (!err)
		memcpy(host.at, pages, BENCH_BYTES);
	for (int i = 0; i < ROUNDS && !err; i++) {
		err = time_copy(g, &host, &mem, &ret->copied);
		err = err ?: time_within(g, &mem, &ret->within);
		err = err ?: time_resident(g, &mem, &ret->resident);
		err = err ?: time_streamed(g, pages, &ret->streamed);
		err = err ?: time_grouped(g, hashes, &ret->grouped);
	}
	gpu_free(g, &mem);
	gpu_host_free(g, &host);
	return err;
}

/* As dedup does it without a device, with all that it knows of a page. */
static void time_sorted_here(const uint64_t *hashes, double *rate)
{
	struct dedup_pages pages = { .all = calloc(BENCH_HASHES, sizeof(*pages.all)), .n = BENCH_HASHES };
	uint64_t began, unused;

	for (uint32_t i = 0; i < BENCH_HASHES && pages.all; i++)
		pages.all[i] = (struct dedup_page){ .hash = hashes[i], .frame = i };
	began = now_ns();
	if (pages.all && !dedup_sort(&pages, NULL, &unused))
		note(rate, BENCH_HASHES, now_ns() - began);
	free(pages.all);
}

/* One processor: to hash, just to read, and to sort. */
static void measure_here(const uint8_t *pages, const uint64_t *hashes, struct rates *ret)
{
	static const uint8_t secret[PAGE_HASH_SECRET];
	const uint64_t *words = (const void *)pages;
	volatile uint64_t sum;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t all = 0, began = now_ns();

		for (size_t p = 0; p < BENCH_PAGES; p++)
			all ^= page_hash(pages + p * PAGE_HASH_PAGE, secret);
		note(&ret->resident, BENCH_BYTES, now_ns() - began);
		began = now_ns();
		for (size_t w = 0; w < BENCH_BYTES / sizeof(*words); w++)
			all += words[w];
		note(&ret->copied, BENCH_BYTES, now_ns() - began);
		sum = all; /* so that neither is left out */
		time_sorted_here(hashes, &ret->grouped);
	}
	(void)sum;
}

static json_t *rates_json(const char *device, const char *by, const struct rates *r, const char *failed)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "device", device, "by", by, "resident_bytes_per_second",
			 (json_int_t)r->resident, "streamed_bytes_per_second", (json_int_t)r->streamed,
			 "copied_bytes_per_second", (json_int_t)r->copied, "within_bytes_per_second", (json_int_t)r->within,
			 "grouped_hashes_per_second", (json_int_t)r->grouped, "failed", failed);
}

static json_t *bench_device(const struct gpu_info *info, const uint8_t *pages, const uint64_t *hashes)
{
	struct rates rates = { 0 };
	char why[192] = "";
	struct gpu *g = gpu_open(info, why);

	if (g && measure(g, pages, hashes, &rates))
		snprintf(why, sizeof(why), "%s", gpu_error(g));
	gpu_close(g);
	return rates_json(info->name, info->backend, &rates, why);
}

json_t *ctl_gpu_bench(void)
{
	uint8_t *pages = aligned_alloc(PAGE_HASH_PAGE, BENCH_BYTES);
	uint64_t *hashes = malloc(BENCH_HASHES * sizeof(*hashes));
	struct rates here = { 0 };
	struct gpu_list list;
	json_t *all = json_array();

	if (!pages || !hashes) {
		free(pages);
		free(hashes);
		json_decref(all);
		return NULL;
	}
	for (size_t i = 0; i < BENCH_BYTES / sizeof(uint64_t); i++)
		((uint64_t *)(void *)pages)[i] = i * 0x9e3779b97f4a7c15ULL;
	make_hashes(hashes);
	find(&list);
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(all, bench_device(&list.devices[i], pages, hashes));
	measure_here(pages, hashes, &here);
	json_array_append_new(all, rates_json("one processor", "libxxhash", &here, ""));
	free(hashes);
	free(pages);
	return all;
}
