/* SPDX-License-Identifier: GPL-2.0 */
/* Where pixel @to of @new comes from, of @old. */
static float source(uint to, uint old, uint new)
{
	float at = (to + 0.5f) * old / new - 0.5f;

	return clamp(at, 0.0f, (float)(old - 1));
}

KERNEL(resize, 256, __global const uchar *image, __global uchar *out, uint width, uint height, uint to_width, uint to_height)
{
	ulong i = ITEM(256);
	float x, y, top, bottom;
	uint x0, y0, x1, y1;

	if (i >= (ulong)to_width * to_height)
		return;
	x = source((uint)(i % to_width), width, to_width);
	y = source((uint)(i / to_width), height, to_height);
	x0 = (uint)x;
	y0 = (uint)y;
	x1 = min(x0 + 1, width - 1);
	y1 = min(y0 + 1, height - 1);
	x -= x0;
	y -= y0;
	top = image[(ulong)y0 * width + x0] * (1 - x) + image[(ulong)y0 * width + x1] * x;
	bottom = image[(ulong)y1 * width + x0] * (1 - x) + image[(ulong)y1 * width + x1] * x;
	out[i] = (uchar)(top * (1 - y) + bottom * y + 0.5f);
}
