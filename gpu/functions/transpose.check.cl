/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(transpose_reference, 1, __global const float *matrix, __global float *out, uint rows, uint columns)
{
	for (uint i = 0; i < rows; i++)
		for (uint j = 0; j < columns; j++)
			out[j * rows + i] = matrix[i * columns + j];
}
