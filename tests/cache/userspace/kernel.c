// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/mman.h>

#include "tests/cache/userspace/kernel.h"

char *kernel_memory;
u64 kernel_frames;
struct kernel_counts counts;
static u64 first_free; /* frame; the first word of each names the next */
static spinlock_t lock;

void __free_page(struct page *page)
{
	kernel_lock(&lock);
	*(u64 *)page_address(page) = first_free;
	first_free = page_to_pfn(page);
	kernel_unlock(&lock);
}

struct page *alloc_page(gfp_t gfp)
{
	struct page *page = NULL;

	(void)gfp;
	counts.pages++;
	kernel_lock(&lock);
	if (first_free) {
		page = pfn_to_page(first_free);
		first_free = *(u64 *)page_address(page);
	}
	kernel_unlock(&lock);
	return page;
}

void frames_open(u64 frames)
{
	u64 i;

	kernel_memory = mmap(NULL, frames << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (kernel_memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	/* The kernel reaches its memory through huge pages too. */
	madvise(kernel_memory, frames << 12, MADV_HUGEPAGE);
	kernel_frames = frames;
	first_free = 0;
	for (i = frames - 1; i; i--)
		__free_page(pfn_to_page(i));
}

void frames_close(void)
{
	munmap(kernel_memory, kernel_frames << 12);
	kernel_memory = NULL;
}
