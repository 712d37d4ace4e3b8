// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/latency.h"

static DEFINE_PER_CPU(struct nestor_cache_latency[NESTOR_CACHE_SOURCES], latencies);

void cache_latency_count(enum nestor_cache_source source, u64 began_ns)
{
	u64 ns = ktime_get_ns() - began_ns;
	u32 slot = ns <= 1000 ? 0 : ilog2((ns - 1) / 1000) + 1;

	this_cpu_inc(latencies[source].slots[min_t(u32, slot, NESTOR_CACHE_SLOTS - 1)]);
	this_cpu_add(latencies[source].sum_ns, ns);
}

int cache_latency_sum(struct nestor_cache_latency *latency)
{
	u32 source = latency->source, i;
	int cpu;

	if (source >= NESTOR_CACHE_SOURCES)
		return -EINVAL;
	memset(latency, 0, sizeof(*latency));
	latency->source = source;
	for_each_possible_cpu (cpu) {
		const struct nestor_cache_latency *one = &per_cpu(latencies, cpu)[source];

		latency->sum_ns += one->sum_ns;
		for (i = 0; i < NESTOR_CACHE_SLOTS; i++)
			latency->slots[i] += one->slots[i];
	}
	return 0;
}
