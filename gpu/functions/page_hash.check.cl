/* SPDX-License-Identifier: GPL-2.0 */
/* XXH3 of one page as its specification has it, stripe by stripe, eight accumulators side by side. */
#define P32_1 0x9E3779B1UL
#define P64_1 0x9E3779B185EBCA87UL

static void stripe(ulong *acc, __global const ulong *in, __global const ulong *key)
{
	for (int i = 0; i < 8; i++) {
		ulong k = in[i] ^ key[i];

		acc[i ^ 1] += in[i];
		acc[i] += (k & 0xffffffff) * (k >> 32);
	}
}

KERNEL(page_hash_reference, 1, __global const ulong *pages, __global const ulong *keys, __global ulong *hashes, uint nr)
{
	for (uint p = 0; p < nr; p++) {
		ulong acc[8] = { 0xC2B2AE3DUL,	       P64_1,	     0xC2B2AE3D27D4EB4FUL, 0x165667B19E3779F9UL,
				 0x85EBCA77C2B2AE63UL, 0x85EBCA77UL, 0x27D4EB2F165667C5UL, P32_1 };
		ulong sum = 4096 * P64_1;

		for (int s = 0; s < 63; s++) {
			stripe(acc, pages + 512 * (ulong)p + 8 * s, keys + s % 16);
			if (s % 16 == 15)
				for (int i = 0; i < 8; i++)
					acc[i] = (acc[i] ^ acc[i] >> 47 ^ keys[16 + i]) * P32_1;
		}
		stripe(acc, pages + 512 * (ulong)p + 504, keys + 24);
		for (int i = 0; i < 8; i += 2) {
			ulong a = acc[i] ^ keys[32 + i], b = acc[i + 1] ^ keys[33 + i];

			sum += a * b ^ mul_hi(a, b);
		}
		sum ^= sum >> 37;
		sum *= 0x165667919E3779F9UL;
		hashes[p] = sum ^ sum >> 32;
	}
}
