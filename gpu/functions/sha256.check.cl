/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As FIPS 180-4 puts it, with its constants from where they come: the fractions of the square and cube roots of the first
 * primes. The whole schedule is laid out, and the message is padded bit by bit.
 */
static int is_prime(uint n)
{
	for (uint d = 2; d * d <= n; d++)
		if (n % d == 0)
			return 0;
	return 1;
}

/* 32 bits behind the point of the @root-th root (2 or 3) of @n: the largest r with (r / 2^32)^root <= n. */
static uint fraction(uint n, int root)
{
	ulong low = 0, high = (ulong)32 << 32;

	while (low + 1 < high) {
		ulong r = low + (high - low) / 2;
		double whole = (double)(r >> 32), part = (double)(uint)r / 4294967296.0, x = whole + part;
		/* x and its powers need more bits than a double has: the error is made up for by fma() */
		double square = x * x, lost = fma(x, x, -square);
		double power = root == 2 ? square : square * x, rest = root == 2 ? lost : fma(square, x, -power) + lost * x;

		if (power - n + rest <= 0)
			low = r;
		else
			high = r;
	}
	return (uint)low;
}

static uint turned(uint x, uint by)
{
	return x >> by | x << (32 - by);
}

static void block(uint *hash, const uint *k, const uint *w)
{
	uint v[8];

	for (int i = 0; i < 8; i++)
		v[i] = hash[i];
	for (int t = 0; t < 64; t++) {
		uint big1 = turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25);
		uint big0 = turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22);
		uint choice = (v[4] & v[5]) | (~v[4] & v[6]), majority = (v[0] & v[1]) | (v[0] & v[2]) | (v[1] & v[2]);
		uint t1 = v[7] + big1 + choice + k[t] + w[t], t2 = big0 + majority;

		for (int i = 7; i > 0; i--)
			v[i] = v[i - 1];
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		hash[i] += v[i];
}

static void digest(__global const uchar *data, uint length, const uint *start, const uint *k, __global uchar *ret)
{
	ulong bits = (ulong)length * 8, padded = bits + 1;
	uint hash[8], w[64];

	while (padded % 512 != 448)
		padded++;
	padded += 64;
	for (int i = 0; i < 8; i++)
		hash[i] = start[i];
	for (ulong from = 0; from < padded; from += 512) {
		for (int t = 0; t < 64; t++)
			w[t] = 0;
		for (uint b = 0; b < 512; b++) {
			ulong at = from + b;
			uint bit = at < bits ? data[at / 8] >> (7 - at % 8) & 1 :
				   at == bits ? 1 :
				   at >= padded - 64 ? (uint)(bits >> (padded - 1 - at)) & 1 : 0;

			w[b / 32] |= bit << (31 - b % 32);
		}
		for (int t = 16; t < 64; t++)
			w[t] = w[t - 16] + w[t - 7] + (turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3) +
			       (turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10);
		block(hash, k, w);
	}
	for (int i = 0; i < 32; i++)
		ret[i] = (uchar)(hash[i / 4] >> (24 - i % 4 * 8));
}

KERNEL(sha256_reference, 1, __global const uchar *data, __global uchar *digests, uint buffers, uint length)
{
	uint start[8], k[64], found = 0;

	for (uint p = 2; found < 64; p++) {
		if (!is_prime(p))
			continue;
		if (found < 8)
			start[found] = fraction(p, 2);
		k[found++] = fraction(p, 3);
	}
	for (uint i = 0; i < buffers; i++)
		digest(data + (ulong)i * length, length, start, k, digests + 32 * (ulong)i);
}
