/* SPDX-License-Identifier: GPL-2.0 */
#define TILE 16

/* By tiles, so that both what is read and what is written lies in a row. */
KERNEL(transpose, 256, __global const float *matrix, __global float *out, uint rows, uint columns)
{
	SHARED float tile[TILE][TILE + 1];
	uint across = (rows + TILE - 1) / TILE, i = LOCAL_ID() / TILE, j = LOCAL_ID() % TILE;
	uint left = GROUP() / across * TILE, top = GROUP() % across * TILE;

	if (top + i < rows && left + j < columns)
		tile[i][j] = matrix[(ulong)(top + i) * columns + left + j];
	BARRIER();
	if (left + i < columns && top + j < rows)
		out[(ulong)(left + i) * rows + top + j] = tile[j][i];
}
