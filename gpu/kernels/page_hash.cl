/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XXH3 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) of pages of 4 KiB, 64 bits, with a secret of 192
 * bytes. Its eight lanes are eight work-items; a group has eight pages. @keys are what gpu/kernels/page_hash.c lays out of the secret.
 */
#define LANES 8
#define PAGE_WORDS 512
#define STRIPES 64 /* of eight words */
#define BLOCK 16 /* stripes between two scrambles */

#define PRIME32_1 0x9E3779B1UL
#define PRIME32_2 0x85EBCA77UL
#define PRIME32_3 0xC2B2AE3DUL
#define PRIME64_1 0x9E3779B185EBCA87UL
#define PRIME64_2 0xC2B2AE3D27D4EB4FUL
#define PRIME64_3 0x165667B19E3779F9UL
#define PRIME64_4 0x85EBCA77C2B2AE63UL
#define PRIME64_5 0x27D4EB2F165667C5UL

static ulong lane_start(uint lane)
{
	switch (lane) {
	case 0:
		return PRIME32_3;
	case 1:
		return PRIME64_1;
	case 2:
		return PRIME64_2;
	case 3:
		return PRIME64_3;
	case 4:
		return PRIME64_4;
	case 5:
		return PRIME32_2;
	case 6:
		return PRIME64_5;
	default:
		return PRIME32_1;
	}
}

static ulong lane_hash(__global const ulong *page, __global const ulong *keys, uint lane)
{
	ulong acc = lane_start(lane), key, mixed;
	uint stripe;

	for (stripe = 0; stripe < STRIPES; stripe++) {
		key = stripe == STRIPES - 1 ? keys[24 + lane] : keys[stripe % BLOCK + lane];
		mixed = page[stripe * LANES + lane] ^ key;
		acc += page[stripe * LANES + (lane ^ 1)] + (mixed & 0xffffffffUL) * (mixed >> 32);
		if (stripe % BLOCK == BLOCK - 1 && stripe != STRIPES - 1)
			acc = (acc ^ acc >> 47 ^ keys[16 + lane]) * PRIME32_1;
	}
	return acc;
}

static ulong merge(__local const ulong *lanes, __global const ulong *keys)
{
	ulong sum = 4096 * PRIME64_1, a, b;
	uint i;

	for (i = 0; i < LANES; i += 2) {
		a = lanes[i] ^ keys[32 + i];
		b = lanes[i + 1] ^ keys[33 + i];
		sum += a * b ^ MUL_HI(a, b);
	}
	sum = (sum ^ sum >> 37) * 0x165667919E3779F9UL;
	return sum ^ sum >> 32;
}

KERNEL(page_hash, 64, __global const ulong *pages, __global const ulong *keys, __global ulong *hashes, uint nr)
{
	SHARED ulong lanes[64];
	uint lane = LOCAL_ID() % LANES, page = (first + GROUP_ID()) * (64 / LANES) + LOCAL_ID() / LANES;

	if (page < nr)
		lanes[LOCAL_ID()] = lane_hash(pages + (ulong)page * PAGE_WORDS, keys, lane);
	BARRIER();
	if (page < nr && !lane)
		hashes[page] = merge(lanes + LOCAL_ID(), keys);
}
