/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(grey, 256, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	ulong i = ITEM(256);

	if (i < (ulong)width * height)
		out[i] = (77 * image[3 * i] + 150 * image[3 * i + 1] + 29 * image[3 * i + 2] + 128) >> 8;
}
