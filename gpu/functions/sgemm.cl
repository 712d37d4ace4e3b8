/* SPDX-License-Identifier: GPL-2.0 */
#define TILE 16 /* a group has a tile of the product, and brings tiles of both factors to where it is near */

KERNEL(sgemm, 256, __global const float *a, __global const float *b, __global float *c, uint rows, uint inner, uint columns)
{
	SHARED float left[TILE][TILE], right[TILE][TILE];
	uint across = (columns + TILE - 1) / TILE, i = LOCAL_ID() / TILE, j = LOCAL_ID() % TILE;
	uint row = GROUP() / across * TILE + i, column = GROUP() % across * TILE + j;
	float sum = 0;

	for (uint from = 0; from < inner; from += TILE) {
		left[i][j] = row < rows && from + j < inner ? a[(ulong)row * inner + from + j] : 0;
		right[i][j] = column < columns && from + i < inner ? b[(ulong)(from + i) * columns + column] : 0;
		BARRIER();
		for (uint k = 0; k < TILE; k++)
			sum += left[i][k] * right[k][j];
		BARRIER();
	}
	if (row < rows && column < columns)
		c[(ulong)row * columns + column] = sum;
}
