// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lib/util.h"
#include "gpu/backend.h"
#include "gpu/kernels/duplicates.h"

#define DIGITS 16 /* these two as in gpu/kernels/duplicates.cl */
#define CHUNKS 64
#define DIGIT_BITS 4
#define CHUNK_MIN 64 /* hashes */
#define CHUNKS_MAX 16384 /* more than any device has work-items at once */
#define LAUNCHES (3 * 64 / DIGIT_BITS + 3)

struct search {
	struct gpu *gpu;
	struct gpu_mem hashes[2], numbers[2], counts;
	uint32_t n, chunk, chunks;
	struct gpu_event events[LAUNCHES];
	size_t launches;
};

static int launch(struct search *s, enum gpu_own_kernel kernel, uint32_t groups, const struct gpu_arg *args, size_t nargs)
{
	return gpu_launch(s->gpu, 0, gpu_own(s->gpu, kernel), 0, groups, args, nargs, &s->events[s->launches++]);
}

static int launch_chunks(struct search *s, enum gpu_own_kernel kernel, const struct gpu_arg *args, size_t nargs)
{
	return launch(s, kernel, (s->chunks + CHUNKS - 1) / CHUNKS, args, nargs);
}

static int sum_counts(struct search *s, uint32_t nr)
{
	const struct gpu_arg args[] = { GPU_ARG(s->counts.handle), GPU_ARG(nr) };

	return launch(s, GPU_KERNEL_COUNTS_SUM, 1, args, ARRAY_SIZE(args));
}

/* From one half of the memory to the other */
static int sort_digit(struct search *s, uint32_t shift)
{
	unsigned int from = shift / DIGIT_BITS % 2, to = 1 - from;
	const struct gpu_arg counts[] = { GPU_ARG(s->hashes[from].handle),
					  GPU_ARG(s->counts.handle),
					  GPU_ARG(s->n),
					  GPU_ARG(s->chunk),
					  GPU_ARG(s->chunks),
					  GPU_ARG(shift) };
	const struct gpu_arg moves[] = { GPU_ARG(s->hashes[from].handle),
					 GPU_ARG(s->numbers[from].handle),
					 GPU_ARG(s->hashes[to].handle),
					 GPU_ARG(s->numbers[to].handle),
					 GPU_ARG(s->counts.handle),
					 GPU_ARG(s->n),
					 GPU_ARG(s->chunk),
					 GPU_ARG(s->chunks),
					 GPU_ARG(shift) };
	int err = launch_chunks(s, GPU_KERNEL_DIGITS_COUNT, counts, ARRAY_SIZE(counts));

	err = err ?: sum_counts(s, DIGITS * s->chunks);
	return err ?: launch_chunks(s, GPU_KERNEL_DIGITS_MOVE, moves, ARRAY_SIZE(moves));
}

/* The other half of the numbers is free by then. */
static int mark(struct search *s)
{
	const struct gpu_arg counts[] = { GPU_ARG(s->hashes[0].handle), GPU_ARG(s->counts.handle), GPU_ARG(s->n),
					  GPU_ARG(s->chunk), GPU_ARG(s->chunks) };
	const struct gpu_arg moves[] = { GPU_ARG(s->hashes[0].handle),
					 GPU_ARG(s->numbers[0].handle),
					 GPU_ARG(s->numbers[1].handle),
					 GPU_ARG(s->counts.handle),
					 GPU_ARG(s->n),
					 GPU_ARG(s->chunk),
					 GPU_ARG(s->chunks) };
	int err = launch_chunks(s, GPU_KERNEL_DOUBLES_COUNT, counts, ARRAY_SIZE(counts));

	err = err ?: sum_counts(s, s->chunks + 1);
	return err ?: launch_chunks(s, GPU_KERNEL_DOUBLES_MOVE, moves, ARRAY_SIZE(moves));
}

static int read_back(struct search *s, struct gpu_mem *from, uint64_t offset, void *to, uint64_t size)
{
	int err = gpu_read(s->gpu, 0, from, offset, to, size, NULL);

	return err ?: gpu_finish(s->gpu, 0);
}

static int bring(struct search *s, struct doubles *ret)
{
	int err = read_back(s, &s->counts, s->chunks * sizeof(uint32_t), &ret->n, sizeof(ret->n));

	if (err)
		return err;
	if (ret->n > s->n)
		return gpu_fail(s->gpu, -EIO, "it computes wrongly: it found more hashes than there are");
	ret->numbers = malloc((ret->n ?: 1) * sizeof(*ret->numbers));
	if (!ret->numbers)
		return gpu_fail(s->gpu, -ENOMEM, "no memory");
	return ret->n ? read_back(s, &s->numbers[1], 0, ret->numbers, ret->n * sizeof(*ret->numbers)) : 0;
}

static int open_search(struct search *s, struct gpu *g, uint32_t n)
{
	int err = 0;

	*s = (struct search){ .gpu = g, .n = n, .chunk = n / CHUNKS_MAX + 1 };
	if (s->chunk < CHUNK_MIN)
		s->chunk = CHUNK_MIN;
	s->chunks = (n - 1) / s->chunk + 1;
	for (int i = 0; i < 2 && !err; i++)
		err = gpu_alloc(g, n * sizeof(uint64_t), &s->hashes[i]) ?: gpu_alloc(g, n * sizeof(uint32_t), &s->numbers[i]);
	return err ?: gpu_alloc(g, (uint64_t)DIGITS * (s->chunks + 1) * sizeof(uint32_t), &s->counts);
}

/* Returns what the device took. */
static uint64_t close_search(struct search *s)
{
	uint64_t sum = 0, ns;

	for (size_t i = 0; i < s->launches; i++, sum += ns)
		if (gpu_wait(s->gpu, &s->events[i], &ns))
			ns = 0;
	gpu_free(s->gpu, &s->counts);
	for (int i = 0; i < 2; i++) {
		gpu_free(s->gpu, &s->numbers[i]);
		gpu_free(s->gpu, &s->hashes[i]);
	}
	return sum;
}

int duplicates_find(struct gpu *g, const uint64_t *hashes, uint32_t n, struct doubles *ret)
{
	struct search s;
	int err = open_search(&s, g, n);

	*ret = (struct doubles){ 0 };
	err = err ?: gpu_write(g, 0, &s.hashes[0], 0, hashes, n * sizeof(*hashes), NULL);
	for (uint32_t shift = 0; shift < 64 && !err; shift += DIGIT_BITS)
		err = sort_digit(&s, shift);
	err = err ?: mark(&s);
	err = err ?: bring(&s, ret);
	ret->device_ns = close_search(&s);
	if (err) {
		free(ret->numbers);
		*ret = (struct doubles){ 0 };
	}
	return err;
}

/* ---- known answer ---- */

#define KNOWN 700 /* more than a group's chunks of one pass have each */
#define KNOWN_DOUBLES 300 /* the last ones are the first ones again */

int duplicates_known_answer(struct gpu *g)
{
	uint64_t hashes[KNOWN];
	struct doubles found;
	uint32_t right = 0;
	int err;

	for (uint64_t i = 0; i < KNOWN; i++)
		hashes[i] = (i % (KNOWN - KNOWN_DOUBLES) + 1) * 0x9e3779b97f4a7c15; /* odd, so that no two are the same */
	err = duplicates_find(g, hashes, KNOWN, &found);
	if (err)
		return err;
	for (uint32_t i = 0; i + 1 < found.n; i += 2)
		right += found.numbers[i] < KNOWN_DOUBLES && found.numbers[i + 1] == found.numbers[i] + KNOWN - KNOWN_DOUBLES;
	free(found.numbers);
	if (found.n != 2 * KNOWN_DOUBLES || right != KNOWN_DOUBLES)
		return gpu_fail(g, -EIO, "it computes wrongly: hashes that are twice among others are not found");
	return 0;
}
