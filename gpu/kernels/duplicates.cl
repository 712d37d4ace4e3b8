/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which hashes are there more than once: a radix sort by four bits at a time, of the hashes and their numbers, then those that
 * have an equal neighbour. A work-item goes through a chunk of its own in order, so a pass is stable without a word between
 * work-items. @counts are by digit, then by chunk: their sums from the left are where each chunk puts its next one.
 */
#define DIGITS 16
#define CHUNKS 64 /* of a group */

static uint digit_of(ulong hash, uint shift)
{
	return (uint)(hash >> shift) % DIGITS;
}

static uint chunk_begin(uint nr, uint chunk, uint nth)
{
	return nth < nr / chunk + 1 ? nth * chunk : nr;
}

static uint chunk_end(uint nr, uint chunk, uint nth)
{
	uint begin = chunk_begin(nr, chunk, nth);

	return nr - begin < chunk ? nr : begin + chunk;
}

KERNEL(digits_count, CHUNKS, __global const ulong *hashes, __global uint *counts, uint nr, uint chunk, uint chunks, uint shift)
{
	SHARED uint mine[DIGITS * CHUNKS];
	uint nth = (first + GROUP_ID()) * CHUNKS + LOCAL_ID(), i, d;

	if (nth >= chunks)
		return;
	for (d = 0; d < DIGITS; d++)
		mine[d * CHUNKS + LOCAL_ID()] = 0;
	for (i = chunk_begin(nr, chunk, nth); i < chunk_end(nr, chunk, nth); i++)
		mine[digit_of(hashes[i], shift) * CHUNKS + LOCAL_ID()]++;
	for (d = 0; d < DIGITS; d++)
		counts[d * chunks + nth] = mine[d * CHUNKS + LOCAL_ID()];
}

/* The first pass numbers them. */
KERNEL(digits_move, CHUNKS, __global const ulong *hashes, __global const uint *numbers, __global ulong *to_hashes,
       __global uint *to_numbers, __global const uint *counts, uint nr, uint chunk, uint chunks, uint shift)
{
	SHARED uint next[DIGITS * CHUNKS];
	uint nth = (first + GROUP_ID()) * CHUNKS + LOCAL_ID(), i, d, at;

	if (nth >= chunks)
		return;
	for (d = 0; d < DIGITS; d++)
		next[d * CHUNKS + LOCAL_ID()] = counts[d * chunks + nth];
	for (i = chunk_begin(nr, chunk, nth); i < chunk_end(nr, chunk, nth); i++) {
		at = next[digit_of(hashes[i], shift) * CHUNKS + LOCAL_ID()]++;
		to_hashes[at] = hashes[i];
		to_numbers[at] = shift ? numbers[i] : i;
	}
}

/* Each count becomes the sum of those before it. Of one group. */
KERNEL(counts_sum, CHUNKS, __global uint *counts, uint nr)
{
	SHARED uint sums[CHUNKS];
	uint part = (nr + CHUNKS - 1) / CHUNKS, sum = 0, i, count;
	uint begin = LOCAL_ID() * part < nr ? LOCAL_ID() * part : nr, end = nr - begin < part ? nr : begin + part;

	for (i = begin; i < end; i++)
		sum += counts[i];
	sums[LOCAL_ID()] = sum;
	BARRIER();
	for (i = 0, sum = 0; i < LOCAL_ID(); i++)
		sum += sums[i];
	for (i = begin; i < end; i++) {
		count = counts[i];
		counts[i] = sum;
		sum += count;
	}
}

static bool is_double(__global const ulong *hashes, uint nr, uint i)
{
	return (i && hashes[i] == hashes[i - 1]) || (i + 1 < nr && hashes[i] == hashes[i + 1]);
}

/* One count more than there are chunks, for the sum of all. */
KERNEL(duplicates_count, CHUNKS, __global const ulong *hashes, __global uint *counts, uint nr, uint chunk, uint chunks)
{
	uint nth = (first + GROUP_ID()) * CHUNKS + LOCAL_ID(), sum = 0, i;

	if (nth >= chunks)
		return;
	for (i = chunk_begin(nr, chunk, nth); i < chunk_end(nr, chunk, nth); i++)
		sum += is_double(hashes, nr, i);
	counts[nth] = sum;
	if (!nth)
		counts[chunks] = 0;
}

KERNEL(duplicates_move, CHUNKS, __global const ulong *hashes, __global const uint *numbers, __global uint *to,
       __global const uint *counts, uint nr, uint chunk, uint chunks)
{
	uint nth = (first + GROUP_ID()) * CHUNKS + LOCAL_ID(), i, at;

	if (nth >= chunks)
		return;
	at = counts[nth];
	for (i = chunk_begin(nr, chunk, nth); i < chunk_end(nr, chunk, nth); i++)
		if (is_double(hashes, nr, i))
			to[at++] = numbers[i];
}
