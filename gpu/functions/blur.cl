/* SPDX-License-Identifier: GPL-2.0 */
static uint weight(int d)
{
	return d == 0 ? 6 : d == 1 || d == -1 ? 4 : 1;
}

KERNEL(blur, 256, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	ulong i = ITEM(256);
	int x, y;
	uint sum = 128;

	if (i >= (ulong)width * height)
		return;
	x = (int)(i % width);
	y = (int)(i / width);
	for (int dy = -2; dy <= 2; dy++) {
		for (int dx = -2; dx <= 2; dx++) {
			int sx = clamp(x + dx, 0, (int)width - 1), sy = clamp(y + dy, 0, (int)height - 1);

			sum += weight(dx) * weight(dy) * image[(ulong)sy * width + sx];
		}
	}
	out[i] = sum >> 8;
}
