/* SPDX-License-Identifier: GPL-2.0 */
#define POINTS 1024 /* of a group */

static uint nearest(__global const float *point, __global const float *centres, uint dimensions, uint clusters)
{
	float best = INFINITY;
	uint found = 0;

	for (uint c = 0; c < clusters; c++) {
		float distance = 0;

		for (uint d = 0; d < dimensions; d++) {
			float off = point[d] - centres[c * dimensions + d];

			distance += off * off;
		}
		if (distance < best) {
			best = distance;
			found = c;
		}
	}
	return found;
}

/* Labels of the group's points, and for each cluster their sum and number: one work-item adds up, in the points' order. */
KERNEL(kmeans_label, 64, __global const float *points, __global const float *centres, __global uint *labels,
       __global float *moved, __global float *sums, __global uint *counts, uint nr, uint dimensions, uint clusters)
{
	SHARED uint mine[POINTS];
	uint group = GROUP(), from = group * POINTS, n = min(nr - from, (uint)POINTS);

	for (uint i = LOCAL_ID(); i < n; i += 64) {
		mine[i] = nearest(points + (ulong)(from + i) * dimensions, centres, dimensions, clusters);
		labels[from + i] = mine[i];
	}
	BARRIER();
	for (uint at = LOCAL_ID(); at < clusters * dimensions; at += 64) {
		uint c = at / dimensions, d = at % dimensions, count = 0;
		float sum = 0;

		for (uint i = 0; i < n; i++) {
			sum += mine[i] == c ? points[(ulong)(from + i) * dimensions + d] : 0;
			count += mine[i] == c;
		}
		sums[(ulong)group * clusters * dimensions + at] = sum;
		if (!d)
			counts[(ulong)group * clusters + c] = count;
	}
}

/* A cluster without points keeps its centre. */
KERNEL(kmeans_move, 64, __global const float *points, __global const float *centres, __global uint *labels,
       __global float *moved, __global float *sums, __global uint *counts, uint nr, uint dimensions, uint clusters)
{
	uint at = (uint)ITEM(64), groups = (nr + POINTS - 1) / POINTS, count = 0;
	float sum = 0;

	if (at >= clusters * dimensions)
		return;
	for (uint g = 0; g < groups; g++) {
		sum += sums[(ulong)g * clusters * dimensions + at];
		count += counts[(ulong)g * clusters + at / dimensions];
	}
	moved[at] = count ? sum / count : centres[at];
}
