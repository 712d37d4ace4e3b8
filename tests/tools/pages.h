/* SPDX-License-Identifier: GPL-2.0 */
/* Pages whose content is known by a number: the same in all programs that fill them. */
#ifndef NESTOR_TOOLS_PAGES_H
#define NESTOR_TOOLS_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))

/* splitmix64, of Steele, Lea and Flood */
static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static inline void fill(uint64_t *page, uint64_t content)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = mix(content * WORDS + i);
}

/* A content that no other process has, nor has another page of this one, with what is added to it */
static inline uint64_t contents_of(int pid)
{
	return mix((uint64_t)pid) >> 20 | 1ULL << 50;
}

#endif
