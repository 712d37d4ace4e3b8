/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(grey_reference, 1, __global const uchar *image, __global uchar *out, uint width, uint height)
{
	for (ulong i = 0; i < (ulong)width * height; i++)
		out[i] = (uchar)(0.299 * image[3 * i] + 0.587 * image[3 * i + 1] + 0.114 * image[3 * i + 2] + 0.5);
}
