/* SPDX-License-Identifier: GPL-2.0 */
static double sinc(double x)
{
	return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double lobe(double d)
{
	return d > -3 && d < 3 ? sinc(d) * sinc(d / 3) : 0;
}

KERNEL(lanczos_reference, 1, __global const uchar *image, __global uchar *out, uint width, uint height, uint to_width,
       uint to_height)
{
	double sx = (double)width / to_width, sy = (double)height / to_height, wx = sx > 1 ? sx : 1, wy = sy > 1 ? sy : 1;
	int w = width, h = height;

	for (uint i = 0; i < to_width * to_height; i++) {
		double cx = (i % to_width + 0.5) * sx - 0.5, cy = (i / to_width + 0.5) * sy - 0.5, sum = 0, all = 0;

		for (int y = (int)(cy - 3 * wy) - 1; y <= cy + 3 * wy + 1; y++) {
			for (int x = (int)(cx - 3 * wx) - 1; x <= cx + 3 * wx + 1; x++) {
				int px = x < 0 ? 0 : x >= w ? w - 1 : x, py = y < 0 ? 0 : y >= h ? h - 1 : y;
				double weight = lobe((x - cx) / wx) * lobe((y - cy) / wy);

				all += weight;
				sum += weight * image[(ulong)py * w + px];
			}
		}
		sum = sum / all + 0.5;
		out[i] = sum < 0 ? 0 : sum > 255 ? 255 : (uchar)sum;
	}
}
