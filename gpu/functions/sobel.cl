/* SPDX-License-Identifier: GPL-2.0 */
static float at(__global const uchar *image, int x, int y, int width, int height)
{
	return image[(ulong)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1)];
}

KERNEL(sobel, 256, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	ulong i = ITEM(256);
	float down = 0, right = 0;
	int x, y;

	if (i >= (ulong)width * height)
		return;
	x = (int)(i % width);
	y = (int)(i / width);
	for (int d = -1; d <= 1; d++) {
		float w = d ? 1.0f : 2.0f;

		down += w * (at(image, x + d, y + 1, width, height) - at(image, x + d, y - 1, width, height));
		right += w * (at(image, x + 1, y + d, width, height) - at(image, x - 1, y + d, width, height));
	}
	out[i] = (uchar)min(255.0f, sqrt(down * down + right * right) + 0.5f);
}
