/* SPDX-License-Identifier: GPL-2.0 */
static double tent(double d)
{
	d = d < 0 ? -d : d;
	return d < 1 ? 1 - d : 0;
}

/* The same as a sum over all pixels near, weighted by a tent. */
KERNEL(resize_reference, 1, __global const uchar *image, __global uchar *out, uint width, uint height, uint to_width,
       uint to_height)
{
	int w = width, h = height;

	for (uint i = 0; i < to_width * to_height; i++) {
		double cx = (i % to_width + 0.5) * w / to_width - 0.5, cy = (i / to_width + 0.5) * h / to_height - 0.5;
		double sum = 0;

		for (int y = (int)cy - 1; y <= (int)cy + 2; y++) {
			for (int x = (int)cx - 1; x <= (int)cx + 2; x++) {
				int sx = x < 0 ? 0 : x >= w ? w - 1 : x, sy = y < 0 ? 0 : y >= h ? h - 1 : y;

				sum += tent(x - cx) * tent(y - cy) * image[(ulong)sy * w + sx];
			}
		}
		out[i] = (uchar)(sum + 0.5);
	}
}
