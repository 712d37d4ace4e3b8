/* SPDX-License-Identifier: GPL-2.0 */
/* FIPS 180-4: a work-item has a buffer. */
__constant uint round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint turn(uint x, uint by)
{
	return x >> by | x << (32 - by);
}

/* Byte @at of a message, with what is added behind it. */
static uint byte_of(__global const uchar *data, uint length, uint padded, uint at)
{
	if (at < length)
		return data[at];
	if (at == length)
		return 0x80;
	if (at < padded - 8)
		return 0;
	return (uint)((ulong)length * 8 >> 8 * (padded - 1 - at)) & 0xff;
}

static void mix(uint *state, const uint *message)
{
	uint a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
	uint w[16];

	for (uint t = 0; t < 64; t++) {
		uint s0, s1, t1, t2;

		if (t < 16) {
			w[t] = message[t];
		} else {
			s0 = w[(t + 1) & 15];
			s1 = w[(t + 14) & 15];
			w[t & 15] += (turn(s0, 7) ^ turn(s0, 18) ^ s0 >> 3) + w[(t + 9) & 15] +
				     (turn(s1, 17) ^ turn(s1, 19) ^ s1 >> 10);
		}
		t1 = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + round_constants[t] + w[t & 15];
		t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

KERNEL(sha256, 64, __global const uchar *data, __global uchar *digests, uint buffers, uint length)
{
	uint state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint padded = (length + 8) / 64 * 64 + 64, message[16];
	ulong i = ITEM(64);

	if (i >= buffers)
		return;
	for (uint at = 0; at < padded; at += 64) {
		for (uint t = 0; t < 16; t++) {
			message[t] = 0;
			for (uint j = 0; j < 4; j++)
				message[t] = message[t] << 8 | byte_of(data + i * length, length, padded, at + 4 * t + j);
		}
		mix(state, message);
	}
	for (uint j = 0; j < 32; j++)
		digests[32 * i + j] = (uchar)(state[j / 4] >> (24 - 8 * (j % 4)));
}
