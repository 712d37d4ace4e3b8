/* SPDX-License-Identifier: GPL-2.0 */
#define SIZE_MAX 4096
#define TAU 6.28318530718f

static uint reversed(uint x, uint bits)
{
	uint r = 0;

	for (; bits; bits--, x >>= 1)
		r = r << 1 | (x & 1);
	return r;
}

/* A group has a row, and keeps it to itself: decimation in time, radix 2. */
KERNEL(fft, 64, __global const float *signal, __global float *spectrum, uint rows, uint size)
{
	SHARED float re[SIZE_MAX], im[SIZE_MAX];
	ulong row = 2 * (ulong)GROUP() * size;
	uint bits = 0;

	while (1U << bits < size)
		bits++;
	for (uint i = LOCAL_ID(); i < size; i += 64) {
		uint from = reversed(i, bits);

		re[i] = signal[row + 2 * from];
		im[i] = signal[row + 2 * from + 1];
	}
	for (uint step = 1; step < size; step *= 2) {
		BARRIER();
		for (uint i = LOCAL_ID(); i < size / 2; i += 64) {
			uint k = i % step, top = i / step * 2 * step + k, low = top + step;
			float c = cos(TAU * k / (2 * step)), s = -sin(TAU * k / (2 * step));
			float lre = re[low] * c - im[low] * s, lim = re[low] * s + im[low] * c;

			re[low] = re[top] - lre;
			im[low] = im[top] - lim;
			re[top] += lre;
			im[top] += lim;
		}
	}
	BARRIER();
	for (uint i = LOCAL_ID(); i < size; i += 64) {
		spectrum[row + 2 * i] = re[i];
		spectrum[row + 2 * i + 1] = im[i];
	}
}
