/* SPDX-License-Identifier: GPL-2.0 */
#define WIDTH 256

/* By doubling, Hillis and Steele, "Data parallel algorithms", 1986; WIDTH numbers at a time. */
KERNEL(prefix_sum, WIDTH, __global const uint *numbers, __global uint *sums, uint nr)
{
	SHARED uint row[2][WIDTH];
	uint me = LOCAL_ID(), carried = 0;

	for (ulong from = 0; from < nr; from += WIDTH) {
		uint side = 0;

		row[0][me] = from + me < nr ? numbers[from + me] : 0;
		BARRIER();
		for (uint step = 1; step < WIDTH; step *= 2, side ^= 1) {
			row[side ^ 1][me] = row[side][me] + (me >= step ? row[side][me - step] : 0);
			BARRIER();
		}
		if (from + me < nr)
			sums[from + me] = carried + row[side][me];
		carried += row[side][WIDTH - 1];
		BARRIER();
	}
}
