/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hashes of pages of 4 KiB: XXH3 of 64 bits with a secret, so that who knows the hash of his page knows nothing of another
 * domain's. The same on devices and, by libxxhash, in plain C.
 */
#ifndef NESTOR_KERNELS_PAGE_HASH_H
#define NESTOR_KERNELS_PAGE_HASH_H

#include "gpu/gpu.h"

#define PAGE_HASH_PAGE 4096
#define PAGE_HASH_SECRET 192 /* bytes */
#define PAGE_HASH_KEYS 40 /* words of 64 bits that kernels have of it */
#define PAGE_HASH_GROUP 8 /* pages of a work-group */

uint64_t page_hash(const void *page, const uint8_t secret[PAGE_HASH_SECRET]);

/* Words of the secret, in the order in which the kernel wants them: those of stripes, of the last one, and of the end. */
void page_hash_keys(const uint8_t secret[PAGE_HASH_SECRET], uint64_t keys[PAGE_HASH_KEYS]);

/* A stream of pages through a device: while a batch is hashed the next one is copied. */
struct page_hash_stream;

/* Batches of up to @pages. NULL: gpu_error(). */
struct page_hash_stream *page_hash_open(struct gpu *g, size_t pages, const uint8_t secret[PAGE_HASH_SECRET]);
void page_hash_close(struct page_hash_stream *s);

/* Where the caller puts the pages of the next batch, in pinned memory. */
void *page_hash_buffer(struct page_hash_stream *s);
/*
 * Sends off the @pages in that buffer, and brings the hashes of the batch before it: *@ret_n of them at *@ret, until the next
 * call; 0: there was none. With 0 pages it just brings. 0 or an error of gpu.h.
 */
int page_hash_next(struct page_hash_stream *s, size_t pages, const uint64_t **ret, size_t *ret_n);
/* What the device took to hash, copies aside, in ns; of all batches that were brought. */
uint64_t page_hash_device_ns(const struct page_hash_stream *s);

/* Does the device compute what libxxhash does? 0 or an error of gpu.h. */
int page_hash_known_answer(struct gpu *g);

#endif
