/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(sgemm_reference, 1, __global const float *a, __global const float *b, __global float *c, uint rows, uint inner,
       uint columns)
{
	for (uint i = 0; i < rows; i++) {
		for (uint j = 0; j < columns; j++) {
			double sum = 0;

			for (uint k = 0; k < inner; k++)
				sum += (double)a[i * inner + k] * b[k * columns + j];
			c[i * columns + j] = (float)sum;
		}
	}
}
