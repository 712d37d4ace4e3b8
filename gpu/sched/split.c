// SPDX-License-Identifier: GPL-2.0
#include <math.h>

#include "gpu/sched/split.h"

static double begin_of(const struct split_device *d, double now)
{
	return fmax(d->ready, now) + d->fixed;
}

/* Numbers of the devices, by when they can begin. */
static void sort_devices(const struct split_device *devices, size_t n, double now, size_t *order)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		while (at && begin_of(&devices[i], now) < begin_of(&devices[order[at - 1]], now)) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
}

static size_t best_whole(const struct split_device *devices, size_t n, double now, double work, double *ret_end)
{
	size_t best = 0;

	*ret_end = INFINITY;
	for (size_t i = 0; i < n; i++) {
		double end = begin_of(&devices[i], now) + work / devices[i].speed;

		if (end < *ret_end) {
			*ret_end = end;
			best = i;
		}
	}
	return best;
}

/* When the first @k of @order end together; INFINITY: one would get too little. */
static double end_together(const struct split_device *devices, const size_t *order, size_t k, double now, double work)
{
	double speed = 0, sum = work, end;

	for (size_t i = 0; i < k; i++) {
		speed += devices[order[i]].speed;
		sum += devices[order[i]].speed * begin_of(&devices[order[i]], now);
	}
	end = sum / speed;
	for (size_t i = 0; i < k; i++) {
		const struct split_device *d = &devices[order[i]];

		if (d->speed * (end - begin_of(d, now)) < fmax(d->least, 0))
			return INFINITY;
	}
	return end;
}

/* What @k parts cost more than one on a device: seconds of all devices together. */
static double extra_cost(const struct split_device *devices, size_t n, const size_t *order, size_t k, size_t whole)
{
	double lost = -devices[whole].fixed * devices[whole].speed, speed = 0;

	for (size_t i = 0; i < n; i++)
		speed += devices[i].speed;
	for (size_t i = 0; i < k; i++)
		lost += devices[order[i]].fixed * devices[order[i]].speed;
	return fmax(lost, 0) / speed;
}

/* Work that all devices have to do yet */
static double backlog(const struct split_device *devices, size_t n, double now)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += devices[i].speed * fmax(devices[i].ready - now, 0);
	return sum;
}

double split_work(const struct split_device *devices, size_t n, double now, double work, bool sliceable, double load,
		  double *parts)
{
	double weight = load < 1 ? load / (1 - load) : INFINITY, whole_end, best_worth = 0, best_end;
	size_t order[SPLIT_DEVICES_MAX], best_k = 1, whole = best_whole(devices, n, now, work, &whole_end);

	best_end = whole_end;
	sort_devices(devices, n, now, order);
	sliceable = sliceable && load < 1 && backlog(devices, n, now) <= work;
	for (size_t k = 2; sliceable && k <= n; k++) {
		double end = end_together(devices, order, k, now, work);
		double worth = whole_end - end - weight * extra_cost(devices, n, order, k, whole);

		if (isfinite(end) && worth > best_worth) {
			best_worth = worth;
			best_end = end;
			best_k = k;
		}
	}
	for (size_t i = 0; i < n; i++)
		parts[i] = best_k == 1 && i == whole ? work : 0;
	for (size_t i = 0; i < best_k && best_k > 1; i++)
		parts[order[i]] = devices[order[i]].speed * (best_end - begin_of(&devices[order[i]], now));
	return best_end;
}
