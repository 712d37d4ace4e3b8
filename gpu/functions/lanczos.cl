/* SPDX-License-Identifier: GPL-2.0 */
#define LOBES 3
#define PI 3.14159265f

static float filter(float d)
{
	float a = PI * d;

	if (fabs(d) < 1e-4f)
		return 1;
	return fabs(d) < LOBES ? LOBES * sin(a) * sin(a / LOBES) / (a * a) : 0;
}

KERNEL(lanczos, 256, __global const uchar *image, __global uchar *out, uint width, uint height, uint to_width, uint to_height)
{
	ulong i = ITEM(256);
	float sx = (float)width / to_width, sy = (float)height / to_height, wx = max(sx, 1.0f), wy = max(sy, 1.0f);
	float cx, cy, sum = 0, weights = 0;

	if (i >= (ulong)to_width * to_height)
		return;
	cx = ((uint)(i % to_width) + 0.5f) * sx - 0.5f;
	cy = ((uint)(i / to_width) + 0.5f) * sy - 0.5f;
	for (int y = (int)ceil(cy - LOBES * wy); y <= (int)floor(cy + LOBES * wy); y++) {
		float wv = filter((y - cy) / wy);
		ulong row = (ulong)clamp(y, 0, (int)height - 1) * width;

		for (int x = (int)ceil(cx - LOBES * wx); x <= (int)floor(cx + LOBES * wx); x++) {
			float w = wv * filter((x - cx) / wx);

			weights += w;
			sum += w * image[row + clamp(x, 0, (int)width - 1)];
		}
	}
	out[i] = (uchar)clamp(sum / weights + 0.5f, 0.0f, 255.0f);
}
