/* SPDX-License-Identifier: GPL-2.0 */
/* By the definition. */
KERNEL(fft_reference, 1, __global const float *signal, __global float *spectrum, uint rows, uint size)
{
	for (uint row = 0; row < rows; row++) {
		for (uint k = 0; k < size; k++) {
			double re = 0, im = 0;

			for (uint i = 0; i < size; i++) {
				double angle = -2 * M_PI * (i * k % size) / size, c = cos(angle), s = sin(angle);
				double x = signal[2 * (row * size + i)], y = signal[2 * (row * size + i) + 1];

				re += x * c - y * s;
				im += x * s + y * c;
			}
			spectrum[2 * (row * size + k)] = (float)re;
			spectrum[2 * (row * size + k) + 1] = (float)im;
		}
	}
}
