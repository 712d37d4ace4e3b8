// SPDX-License-Identifier: GPL-2.0
/* budget: 120, lane: free */
/*
 * The GPU layer, on each device that OpenCL has (PoCL makes the processor one), and on a stand-in for CUDA's driver
 * (tests/gpu/stub/cuda.c), each of whose calls fails once.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#include "agent/dedup/sort.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "gpu/kernels/duplicates.h"
#include "gpu/gpu.h"
#include "gpu/kernels/page_hash.h"
#include "tests/gpu/stub/cuda.h"
#include "tests/harness/tap.h"

#define PAGES 1000

/* Drivers keep what they have once made. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libpocl\nleak:libOpenCL\nleak:libLLVM\nleak:libclang\nleak:pocl\n";
}

static uint8_t pages[PAGES * PAGE_HASH_PAGE], secret[PAGE_HASH_SECRET];

static void fill(void)
{
	uint32_t *words = (uint32_t *)(void *)pages;

	srandom(1);
	for (size_t i = 0; i < sizeof(pages) / sizeof(*words); i++)
		words[i] = (uint32_t)random() << 16 ^ (uint32_t)random();
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)random();
}

/* Takes what came back; returns how many are right. */
static size_t check(const uint64_t *hashes, size_t n, size_t from)
{
	size_t right = 0;

	for (size_t i = 0; i < n; i++)
		right += hashes[i] == page_hash(pages + (from + i) * PAGE_HASH_PAGE, secret);
	return right;
}

/* In batches of up to @batch. -1: an error. */
static long stream(struct gpu *g, size_t batch)
{
	struct page_hash_stream *s = page_hash_open(g, batch, secret);
	size_t sent = 0, back = 0, right = 0, n, now;
	const uint64_t *hashes;
	int err = s ? 0 : -EIO;

	while (!err && back < PAGES) {
		now = MIN(batch, PAGES - sent);
		memcpy(page_hash_buffer(s), pages + sent * PAGE_HASH_PAGE, now * PAGE_HASH_PAGE);
		err = page_hash_next(s, now, &hashes, &n);
		if (err)
			break;
		sent += now;
		right += check(hashes, n, back);
		back += n;
	}
	page_hash_close(s);
	return err ? -1 : (long)right;
}

/* A kernel's groups in pieces of @slice, by turns in both queues. Returns how many hashes are right. */
static size_t sliced(struct gpu *g, uint32_t slice)
{
	const uint32_t nr = PAGES, groups = (nr + PAGE_HASH_GROUP - 1) / PAGE_HASH_GROUP;
	uint64_t keys[PAGE_HASH_KEYS], hashes[PAGES] = { 0 };
	struct gpu_mem first_in = { 0 }, in = { 0 }, key = { 0 }, out = { 0 };
	unsigned int queue = 0;
	int err = gpu_alloc(g, sizeof(pages), &first_in) ?: gpu_alloc(g, sizeof(pages), &in);

	err = err ?: gpu_alloc(g, sizeof(keys), &key) ?: gpu_alloc(g, sizeof(hashes), &out);

	const struct gpu_arg args[] = { GPU_ARG(in.handle), GPU_ARG(key.handle), GPU_ARG(out.handle), GPU_ARG(nr) };

	page_hash_keys(secret, keys);
	err = err ?: gpu_write(g, 0, &first_in, 0, pages, sizeof(pages), NULL) ?: gpu_copy(g, 0, &in, &first_in, sizeof(pages), NULL);
	err = err ?: gpu_write(g, 0, &key, 0, keys, sizeof(keys), NULL);
	err = err ?: gpu_finish(g, 0);
	for (uint32_t first = 0; first < groups && !err; first += slice, queue ^= 1)
		err = gpu_launch(g, queue, gpu_own(g, GPU_KERNEL_PAGE_HASH), first, MIN(slice, groups - first), args,
				 ARRAY_SIZE(args), NULL);
	err = err ?: gpu_finish(g, 0) ?: gpu_finish(g, 1) ?: gpu_read(g, 0, &out, 0, hashes, sizeof(hashes), NULL);
	err = err ?: gpu_finish(g, 0);
	gpu_free(g, &out);
	gpu_free(g, &key);
	gpu_free(g, &in);
	gpu_free(g, &first_in);
	return err ? 0 : check(hashes, PAGES, 0);
}

/* ---- what is there more than once ---- */

static int by_hash(const void *a, const void *b, void *hashes)
{
	const uint64_t *h = hashes;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

	return h[i] != h[j] ? (h[i] > h[j]) - (h[i] < h[j]) : (i > j) - (i < j);
}

/* The same in plain C, by a sort that is known to be one */
static uint32_t duplicates_here(uint64_t *hashes, uint32_t n, uint32_t *ret)
{
	uint32_t *order = calloc(n, sizeof(*order)), found = 0;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), by_hash, hashes);
	for (uint32_t i = 0; i < n; i++)
		if ((i && hashes[order[i - 1]] == hashes[order[i]]) || (i + 1 < n && hashes[order[i + 1]] == hashes[order[i]]))
			ret[found++] = order[i];
	free(order);
	return found;
}

/* @n hashes of @kinds, which differ only in the bits of @mask */
static void test_doubles(struct gpu *g, uint32_t n, uint32_t kinds, uint64_t mask)
{
	uint64_t *hashes = calloc(n, sizeof(*hashes));
	uint32_t *expected = calloc(n, sizeof(*expected)), nr;
	struct doubles found = { 0 };
	int err;

	for (uint32_t i = 0; i < n; i++)
		hashes[i] = ((uint64_t)random() % kinds * 0x9e3779b97f4a7c15) & mask;
	nr = duplicates_here(hashes, n, expected);
	err = duplicates_find(g, hashes, n, &found);
	ok(!err && found.n == nr && !memcmp(found.numbers, expected, nr * sizeof(*expected)),
	   "gpu: %u hashes of up to %u kinds, within %llx: all %u duplicates are found", n, kinds, (unsigned long long)mask,
	   nr);
	free(found.numbers);
	free(expected);
	free(hashes);
}

static void test_sizes(struct gpu *g)
{
	static const uint32_t sizes[] = { 1, 2, 63, 64, 65, 4095, 4096, 4097, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		test_doubles(g, sizes[i], sizes[i] / 2 + 1, UINT64_MAX);
	test_doubles(g, 5000, 1, UINT64_MAX);
	test_doubles(g, 5000, 1U << 31, UINT64_MAX);
	test_doubles(g, 5000, 4000, 0xf);
	test_doubles(g, 5000, 4000, 0xffULL << 56);
	test_doubles(g, 1100000, 900000, UINT64_MAX); /* chunks of more than the smallest size */
}

/* Is memory zero that another tenant had? */
static bool is_cleared(struct gpu *g)
{
	static uint8_t mark[1 << 16], got[1 << 16];
	struct gpu_mem m;
	uint8_t sum = 0;

	memset(mark, 0x5a, sizeof(mark));
	if (gpu_alloc(g, sizeof(mark), &m) || gpu_write(g, 0, &m, 0, mark, sizeof(mark), NULL) || gpu_finish(g, 0))
		return false;
	gpu_free(g, &m);
	if (gpu_alloc(g, sizeof(got), &m) || gpu_read(g, 0, &m, 0, got, sizeof(got), NULL) || gpu_finish(g, 0))
		return false;
	gpu_free(g, &m);
	for (size_t i = 0; i < sizeof(got); i++)
		sum |= got[i];
	return !sum;
}

static const char *text(const char *name, const char *claim)
{
	static char all[128];

	snprintf(all, sizeof(all), "gpu: %s: %s", name, claim);
	return all;
}

static void test_device(const struct gpu_info *info)
{
	const char *by = info->backend;
	struct gpu_event done = { 0 };
	struct gpu_mem m = { 0 };
	uint64_t ns = 0;
	char why[192] = "", byte = 1;
	struct gpu *g = gpu_open(info, why);

	if (!ok(g != NULL, "gpu: %s: %s is opened", by, info->name)) {
		printf("#   %s\n", why);
		return;
	}
	is_u64(PAGES, (unsigned long long)stream(g, 64), text(by, "hashes in batches are libxxhash's"));
	is_u64(PAGES, (unsigned long long)stream(g, PAGES), text(by, "hashes in one batch are libxxhash's"));
	for (uint32_t slice = 1; slice < 200; slice = slice * 3 + 1)
		is_u64(PAGES, sliced(g, slice), text(by, "hashes in slices are libxxhash's"));
	test_sizes(g);
	ok(is_cleared(g), "gpu: %s: memory of a tenant is cleared for the next one", by);
	ok(gpu_alloc(g, 1ULL << 50, &m) == -ENOMEM && !m.handle, "gpu: %s: more memory than there is is refused: %s", by,
	   gpu_error(g));
	ok(!gpu_alloc(g, 4096, &m) && gpu_write(g, 0, &m, 4096, &byte, 1, NULL) == -EIO,
	   "gpu: %s: a write beyond the end is refused: %s", by, gpu_error(g));
	ok(gpu_copy(g, 0, &m, &m, 4097, NULL) == -EIO, "gpu: %s: a copy beyond the end is refused", by);
	ok(gpu_write(g, 0, &m, UINT64_MAX, &byte, 2, NULL) == -EIO, "gpu: %s: a write whose end wraps round is refused", by);
	ok(!gpu_write(g, 1, &m, 0, pages, 4096, &done) && !gpu_wait(g, &done, &ns) && ns, "gpu: %s: a write takes time", by);
	ok(!gpu_wait(g, &done, &ns), "gpu: %s: a wait for no event returns", by);
	gpu_free(g, &m);
	gpu_close(g);
}

/* ---- what the driver does wrong ---- */

static const struct stub *cuda;

static struct gpu_info *cuda_device(struct gpu_list *list)
{
	gpu_list(list);
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->devices[i].backend, "cuda"))
			return &list->devices[i];
	return NULL;
}

static void test_refusals(void)
{
	struct gpu_list list;
	char why[192] = "";
	struct gpu_info *info;

	cuda->device(0, 90, 0);
	ok(!cuda_device(&list) && strstr(list.absent[0], "no device"), "cuda: a driver without a device is named: %s",
	   list.absent[0]);
	cuda->device(1, 61, 0);
	info = cuda_device(&list);
	ok(info && strstr(info->refused, "6.1, and 7.0 is wanted"), "cuda: an old device is refused: %s",
	   info ? info->refused : "");
	ok(info && !gpu_open(info, why) && strstr(why, "7.0"), "cuda: an old device is not opened");
	for (int kernel = 1; kernel <= GPU_KERNELS; kernel++) {
		cuda->device(1, 90, kernel);
		info = cuda_device(&list);
		ok(info && !gpu_open(info, why) && strstr(why, "computes wrongly"),
		   "cuda: a device that computes wrongly is not opened: %s", why);
	}
	cuda->device(1, 90, 0);
	cuda->fail(1, 803, 0);
	ok(!cuda_device(&list) && strstr(list.absent[0], "of different versions"),
	   "cuda: a library of another driver is named: %s", list.absent[0]);
	cuda->fail(0, 0, 0);
	is_u64(0, cuda->held(), "cuda: refused devices leave nothing held");
}

static bool finds_doubles(struct gpu *g)
{
	static const uint64_t hashes[] = { 7, 5, 7, 6 };
	struct doubles found;
	bool right = !duplicates_find(g, hashes, ARRAY_SIZE(hashes), &found);

	if (right && (found.n != 2 || found.numbers[0] != 0 || found.numbers[1] != 2))
		abort();
	free(found.numbers);
	return right;
}

/* All that is done with a device; each call of the driver fails once with @code, all after it too if @sticky. */
static void test_failures(const struct gpu_info *info, int code, int sticky)
{
	unsigned int nth = 1, survived = 0, wrong = 0, held = 0;
	bool failed;

	do {
		char why[192] = "";
		struct gpu *g;
		long right = -1;

		cuda->fail(nth, code, sticky);
		g = gpu_open(info, why);
		if (g)
			right = stream(g, 100);
		if (right >= 0 && !finds_doubles(g))
			right = -1;
		wrong += right >= 0 && right != PAGES;
		survived += right == PAGES;
		wrong += !g && !why[0];
		gpu_close(g);
		failed = cuda->calls() >= nth;
		cuda->fail(0, 0, 0);
		held += cuda->held();
	} while (failed && nth++ < 10000);
	ok(!wrong && nth > 100 && survived, "cuda: %u calls fail with %d%s: results are right or an error", nth - 1, code,
	   sticky ? " for good" : "");
	is_u64(0, held, "cuda: failed calls leave nothing held");
}

/* Each batch is under way before the one before it is waited for, so that its copy and that one's hashing may overlap. */
static void test_overlap(const struct gpu_info *info)
{
	char why[192];
	struct gpu *g = gpu_open(info, why);

	cuda->fail(0, 0, 0);
	is_u64(PAGES, g ? (unsigned long long)stream(g, PAGES / 4) : 0, "cuda: four batches are hashed");
	is_str("llwwlwwlwwww", cuda->trace(), "cuda: each batch is launched before the previous one is waited for");
	gpu_close(g);
}

/* A device that fails while it sorts is done without. */
static void test_sort_without(const struct gpu_info *info)
{
	struct dedup_page some[1000];
	struct dedup_pages pages = { some, ARRAY_SIZE(some), ARRAY_SIZE(some) };
	char why[192];
	struct gpu *g = gpu_open(info, why);
	uint64_t device_ns = 0;
	size_t neighbours = 0;

	for (size_t i = 0; i < pages.n; i++)
		some[i] = (struct dedup_page){ .hash = (i * 7 % 500 + 1) * 0x9e3779b97f4a7c15, .frame = i };
	cuda->fail(50, 719, 1);
	ok(g && !dedup_sort(&pages, g, &device_ns) && !device_ns, "cuda: pages are sorted though the device fails");
	cuda->fail(0, 0, 0);
	for (size_t i = 0; i < pages.n; i += 2)
		neighbours += some[i].hash == some[i + 1].hash && some[i].frame < some[i + 1].frame;
	is_u64(500, neighbours, "cuda: pages are sorted next to their duplicates though the device fails");
	gpu_close(g);
}

static void test_cuda(void)
{
	struct gpu_list list;
	struct gpu_info *info;
	void *library = dlopen("libcuda.so.1", RTLD_NOW);

	cuda = library ? dlsym(library, "stub") : NULL;
	if (!ok(cuda != NULL, "cuda: the stand-in is found"))
		return;
	info = cuda_device(&list);
	if (!ok(info != NULL, "cuda: the stand-in has a device"))
		return;
	test_device(info);
	is_u64(0, cuda->held(), "cuda: a closed device leaves nothing held");
	test_overlap(info);
	test_refusals();
	info = cuda_device(&list);
	test_failures(info, 2, 0);
	test_failures(info, 719, 1);
	test_sort_without(info);
}

/* The library is looked for where this says, which has to be there from the start. */
static void run_with_stub(char **argv)
{
	char path[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	if (getenv("NESTOR_GPU_TEST") || n < 0)
		return;
	path[n] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash, "/stub");
	setenv("LD_LIBRARY_PATH", path, 1);
	setenv("POCL_KERNEL_CACHE", "0", 1);
	setenv("NESTOR_GPU_TEST", "1", 1);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	static struct gpu_list list;
	bool any = false;

	(void)argc;
	run_with_stub(argv);
	log_open("gpu", LOG_LEVEL_ERROR);
	fill();
	gpu_list(&list);
	for (size_t i = 0; i < list.n; i++) {
		if (strcmp(list.devices[i].backend, "opencl") != 0 || list.devices[i].refused[0])
			continue;
		any = true;
		test_device(&list.devices[i]);
	}
	if (!any)
		printf("ok %d - gpu: opencl # SKIP %s\n", ++tap_tests, list.absent[1]);
	test_cuda();
	return done_testing();
}
