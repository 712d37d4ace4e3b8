/* SPDX-License-Identifier: GPL-2.0 */
KERNEL(prefix_sum_reference, 1, __global const uint *numbers, __global uint *sums, uint nr)
{
	uint sum = 0;

	for (uint i = 0; i < nr; i++)
		sums[i] = sum += numbers[i];
}
