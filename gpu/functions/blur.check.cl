/* SPDX-License-Identifier: GPL-2.0 */
/* By two passes of one dimension, as a Gaussian may be had. */
static double row(__global const uchar *image, int x, int y, int width)
{
	const double weights[5] = { 0.0625, 0.25, 0.375, 0.25, 0.0625 };
	double sum = 0;

	for (int d = 0; d < 5; d++) {
		int at = x + d - 2;

		sum += weights[d] * image[(ulong)y * width + (at < 0 ? 0 : at >= width ? width - 1 : at)];
	}
	return sum;
}

KERNEL(blur_reference, 1, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	const double weights[5] = { 0.0625, 0.25, 0.375, 0.25, 0.0625 };

	for (int y = 0; y < (int)height; y++) {
		for (int x = 0; x < (int)width; x++) {
			double sum = 0;

			for (int d = 0; d < 5; d++) {
				int at = y + d - 2;

				at = at < 0 ? 0 : at >= (int)height ? (int)height - 1 : at;
				sum += weights[d] * row(image, x, at, (int)width);
			}
			out[(ulong)y * width + x] = (uchar)(sum + 0.5);
		}
	}
}
