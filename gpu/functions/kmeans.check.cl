/* SPDX-License-Identifier: GPL-2.0 */
/* Labels by the same distances, so that ties fall alike; centres in double precision. */
KERNEL(kmeans_reference, 1, __global const float *points, __global const float *centres, __global uint *labels,
       __global float *moved, __global float *sums, __global uint *counts, uint nr, uint dimensions, uint clusters)
{
	for (uint p = 0; p < nr; p++) {
		float best = INFINITY;

		for (uint c = 0; c < clusters; c++) {
			float distance = 0;

			for (uint d = 0; d < dimensions; d++) {
				float off = points[p * dimensions + d] - centres[c * dimensions + d];

				distance += off * off;
			}
			labels[p] = distance < best ? c : labels[p];
			best = fmin(best, distance);
		}
	}
	for (uint at = 0; at < clusters * dimensions; at++) {
		double sum = 0;
		uint count = 0;

		for (uint p = 0; p < nr; p++) {
			if (labels[p] != at / dimensions)
				continue;
			sum += points[p * dimensions + at % dimensions];
			count++;
		}
		moved[at] = count ? (float)(sum / count) : centres[at];
	}
}
