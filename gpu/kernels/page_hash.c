// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/lib/util.h"
#include "gpu/backend.h"
#include "gpu/kernels/page_hash.h"

uint64_t page_hash(const void *page, const uint8_t secret[PAGE_HASH_SECRET])
{
	return XXH3_64bits_withSecret(page, PAGE_HASH_PAGE, secret, PAGE_HASH_SECRET);
}

/* ---- one batch of a stream ---- */

struct batch {
	struct gpu_host pages, hashes;
	struct gpu_mem device_pages, device_hashes;
	struct gpu_event hashed, copied;
	size_t n; /* pages under way */
};

struct page_hash_stream {
	struct gpu *gpu;
	struct gpu_mem keys;
	struct batch batches[GPU_QUEUES];
	unsigned int next; /* of them */
	uint64_t device_ns;
};

void page_hash_keys(const uint8_t secret[PAGE_HASH_SECRET], uint64_t keys[PAGE_HASH_KEYS])
{
	static const struct {
		unsigned int from, words;
	} parts[] = { { 0, 24 }, { PAGE_HASH_SECRET - 64 - 7, 8 }, { 11, 8 } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		memcpy(keys, secret + parts[i].from, parts[i].words * sizeof(*keys));
		keys += parts[i].words;
	}
}

static int open_batch(struct gpu *g, struct batch *b, size_t pages)
{
	int err = gpu_host_alloc(g, pages * PAGE_HASH_PAGE, &b->pages);

	err = err ?: gpu_host_alloc(g, pages * sizeof(uint64_t), &b->hashes);
	err = err ?: gpu_alloc(g, pages * PAGE_HASH_PAGE, &b->device_pages);
	return err ?: gpu_alloc(g, pages * sizeof(uint64_t), &b->device_hashes);
}

static void close_batch(struct gpu *g, struct batch *b)
{
	gpu_wait(g, &b->hashed, NULL);
	gpu_wait(g, &b->copied, NULL);
	gpu_free(g, &b->device_hashes);
	gpu_free(g, &b->device_pages);
	gpu_host_free(g, &b->hashes);
	gpu_host_free(g, &b->pages);
}

static int send_keys(struct page_hash_stream *s, const uint8_t *secret)
{
	uint64_t keys[PAGE_HASH_KEYS];
	int err = gpu_alloc(s->gpu, sizeof(keys), &s->keys);

	page_hash_keys(secret, keys);
	err = err ?: gpu_write(s->gpu, 0, &s->keys, 0, keys, sizeof(keys), NULL);
	return err ?: gpu_finish(s->gpu, 0);
}

struct page_hash_stream *page_hash_open(struct gpu *g, size_t pages, const uint8_t secret[PAGE_HASH_SECRET])
{
	struct page_hash_stream *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return NULL;
	s->gpu = g;
	err = send_keys(s, secret);
	for (size_t i = 0; i < GPU_QUEUES && !err; i++)
		err = open_batch(g, &s->batches[i], pages);
	if (err) {
		page_hash_close(s);
		return NULL;
	}
	return s;
}

void page_hash_close(struct page_hash_stream *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < GPU_QUEUES; i++)
		close_batch(s->gpu, &s->batches[i]);
	gpu_free(s->gpu, &s->keys);
	free(s);
}

void *page_hash_buffer(struct page_hash_stream *s)
{
	return s->batches[s->next].pages.at;
}

uint64_t page_hash_device_ns(const struct page_hash_stream *s)
{
	return s->device_ns;
}

/* ---- sending and bringing ---- */

static int send_batch(struct page_hash_stream *s, unsigned int queue, size_t pages)
{
	struct batch *b = &s->batches[queue];
	const uint32_t nr = (uint32_t)pages, groups = (nr + PAGE_HASH_GROUP - 1) / PAGE_HASH_GROUP;
	const struct gpu_arg args[] = { GPU_ARG(b->device_pages.handle), GPU_ARG(s->keys.handle),
					GPU_ARG(b->device_hashes.handle), GPU_ARG(nr) };
	int err;

	err = gpu_write(s->gpu, queue, &b->device_pages, 0, b->pages.at, pages * PAGE_HASH_PAGE, NULL);
	err = err
		      ?: gpu_launch(s->gpu, queue, gpu_own(s->gpu, GPU_KERNEL_PAGE_HASH), 0, groups, args, ARRAY_SIZE(args),
				    &b->hashed);
	err = err ?: gpu_read(s->gpu, queue, &b->device_hashes, 0, b->hashes.at, pages * sizeof(uint64_t), &b->copied);
	b->n = err ? 0 : pages;
	return err;
}

int page_hash_next(struct page_hash_stream *s, size_t pages, const uint64_t **ret, size_t *ret_n)
{
	unsigned int sent = s->next, brought = (sent + 1) % GPU_QUEUES;
	struct batch *b = &s->batches[brought];
	uint64_t ns = 0;
	int err = pages ? send_batch(s, sent, pages) : 0;

	*ret_n = 0;
	if (!err && b->n)
		err = gpu_wait(s->gpu, &b->hashed, &ns) ?: gpu_wait(s->gpu, &b->copied, NULL);
	if (err)
		return err;
	s->device_ns += ns;
	*ret = b->hashes.at;
	*ret_n = b->n;
	b->n = 0;
	s->next = brought;
	return 0;
}

/* ---- known answer ---- */

#define KNOWN_PAGES 11 /* a group, and part of another one */

static uint64_t pseudo_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state ^ *state >> 29;
}

static int compare(struct gpu *g, struct page_hash_stream *s, const uint8_t *secret)
{
	uint64_t *words = page_hash_buffer(s), state = 1;
	const uint8_t *pages = page_hash_buffer(s);
	const uint64_t *hashes;
	size_t n;
	int err;

	for (size_t i = 0; i < KNOWN_PAGES * PAGE_HASH_PAGE / sizeof(*words); i++)
		words[i] = pseudo_random(&state);
	err = page_hash_next(s, KNOWN_PAGES, &hashes, &n);
	err = err ?: page_hash_next(s, 0, &hashes, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		if (hashes[i] != page_hash(pages + i * PAGE_HASH_PAGE, secret))
			n = 0;
	return n == KNOWN_PAGES ? 0 : gpu_fail(g, -EIO, "it computes wrongly: a page's hash is another than libxxhash has it");
}

int page_hash_known_answer(struct gpu *g)
{
	uint8_t secret[PAGE_HASH_SECRET];
	struct page_hash_stream *s;
	uint64_t state = 2;
	int err;

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(pseudo_random(&state) >> 13);
	s = page_hash_open(g, KNOWN_PAGES, secret);
	err = s ? compare(g, s, secret) : -EIO;
	page_hash_close(s);
	return err;
}
