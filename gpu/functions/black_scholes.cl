/* SPDX-License-Identifier: GPL-2.0 */
/* The normal distribution's, by Abramowitz and Stegun, 26.2.17. */
static float below(float d)
{
	float k = 1 / (1 + 0.2316419f * fabs(d));
	float tail = 0.39894228f * exp(-0.5f * d * d) * k *
		     (0.31938153f + k * (-0.356563782f + k * (1.781477937f + k * (-1.821255978f + k * 1.330274429f))));

	return d > 0 ? 1 - tail : tail;
}

KERNEL(black_scholes, 256, __global const float *price, __global const float *strike, __global const float *years,
       __global float *call, __global float *put, uint options, float rate, float volatility)
{
	ulong i = ITEM(256);
	float wide, d1, d2, later;

	if (i >= options)
		return;
	wide = volatility * sqrt(years[i]);
	d1 = (log(price[i] / strike[i]) + (rate + 0.5f * volatility * volatility) * years[i]) / wide;
	d2 = d1 - wide;
	later = strike[i] * exp(-rate * years[i]);
	call[i] = price[i] * below(d1) - later * below(d2);
	put[i] = later * below(-d2) - price[i] * below(-d1);
}
