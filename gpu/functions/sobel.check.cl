/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(sobel_reference, 1, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	const int filter[3][3] = { { -1, 0, 1 }, { -2, 0, 2 }, { -1, 0, 1 } };
	int w = width, h = height;

	for (int y = 0; y < h; y++) {
		for (int x = 0; x < w; x++) {
			double gx = 0, gy = 0, all;

			for (int j = 0; j < 3; j++) {
				for (int i = 0; i < 3; i++) {
					int sx = x + i - 1, sy = y + j - 1;

					sx = sx < 0 ? 0 : sx >= w ? w - 1 : sx;
					sy = sy < 0 ? 0 : sy >= h ? h - 1 : sy;
					gx += filter[j][i] * (double)image[(ulong)sy * w + sx];
					gy += filter[i][j] * (double)image[(ulong)sy * w + sx];
				}
			}
			all = sqrt(gx * gx + gy * gy) + 0.5;
			out[(ulong)y * w + x] = all > 255 ? 255 : (uchar)all;
		}
	}
}
