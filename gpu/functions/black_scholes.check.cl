/* SPDX-License-Identifier: GPL-2.0 */
static double below(double d)
{
	return 0.5 * erfc(-d * M_SQRT1_2);
}

KERNEL(black_scholes_reference, 1, __global const float *price, __global const float *strike, __global const float *years,
       __global float *call, __global float *put, uint options, float rate, float volatility)
{
	for (uint i = 0; i < options; i++) {
		double s = price[i], x = strike[i], t = years[i], r = rate, v = volatility;
		double d1 = (log(s / x) + (r + 0.5 * v * v) * t) / (v * sqrt(t)), d2 = d1 - v * sqrt(t);

		call[i] = (float)(s * below(d1) - x * exp(-r * t) * below(d2));
		put[i] = (float)(x * exp(-r * t) * below(-d2) - s * below(-d1));
	}
}
