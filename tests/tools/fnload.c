// SPDX-License-Identifier: GPL-2.0
/*
 * Calls GPU functions as many clients do: at moments that nobody agreed on (a Poisson process), each with a deadline, whatever
 * becomes of those before (an open loop).
 *
 *	fnload FUNCTION RATE SECONDS SEED [SIZE WORK]...
 *
 * RATE calls a second; each is of one of the sizes, n=SIZE bytes, by chance, of which a device takes WORK seconds; deadlines
 *are 1.5 to 5 times that, 0 means none. Prints an object: calls, how they ended, and how long those took that were done.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/gpufn/client.h"
#include "agent/lib/util.h"

#define SIZES_MAX 16
#define CLIENTS 48 /* that wait at a time; more calls than these are the load's own fault, and counted */

struct size {
	unsigned long n;
	double work;
};

static struct {
	const char *function;
	double rate, seconds;
	struct size sizes[SIZES_MAX];
	size_t nr;
} load;

struct ended {
	unsigned int in_time, late, dropped, refused, failed;
	double turnaround, wasted;
};

static struct {
	pthread_mutex_t lock;
	struct ended ended;
	double next; /* when the next call is to be made */
	unsigned int calls, behind;
	double *turnarounds;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static double now(void)
{
	return (double)now_ns() / 1e9;
}

static double chance(void)
{
	return (double)random() / ((double)RAND_MAX + 1);
}

struct plan {
	double at, deadline;
	const struct size *size;
};

/* The next call, for whoever is free; false: that was the last. */
static bool take(double end, struct plan *ret)
{
	bool more;

	pthread_mutex_lock(&all.lock);
	*ret = (struct plan){ .at = all.next, .size = &load.sizes[(size_t)random() % load.nr] };
	ret->deadline = ret->size->work * (1.5 + 3.5 * chance());
	all.next -= log(1 - chance()) / load.rate;
	more = ret->at < end;
	all.calls += more;
	pthread_mutex_unlock(&all.lock);
	return more;
}

static void note(const struct plan *p, int err, const struct gpufn_outputs *o)
{
	double took = now() - p->at;
	bool late = p->deadline > 0 && took > p->deadline;
	struct ended *e = &all.ended;

	pthread_mutex_lock(&all.lock);
	if (!err)
		all.turnarounds[e->in_time + e->late] = took;
	e->in_time += !err && !late;
	e->late += !err && late;
	e->dropped += err == -ETIME;
	e->refused += err == -EBUSY;
	e->failed += err && err != -ETIME && err != -EBUSY;
	e->turnaround += err ? 0 : took;
	e->wasted += !err && late ? o->device_seconds : 0;
	pthread_mutex_unlock(&all.lock);
}

static void wait_until(double at)
{
	struct timespec ts = { .tv_sec = (time_t)at, .tv_nsec = (long)((at - floor(at)) * 1e9) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void call(struct gpufn_client *c, const struct plan *p, const void *inputs)
{
	struct gpufn_outputs o;
	char values[96];
	int n = snprintf(values, sizeof(values), "n=%lu", p->size->n);
	double left = p->deadline - (now() - p->at);
	int err;

	if (p->deadline > 0 && left <= 0) { /* nobody was free to make it */
		pthread_mutex_lock(&all.lock);
		all.behind++;
		pthread_mutex_unlock(&all.lock);
		return;
	}
	if (p->deadline > 0)
		snprintf(values + n, sizeof(values) - (size_t)n, "&deadline=%.6f", left);
	err = gpufn_client_call(c, load.function, values, inputs, p->size->n, &o);
	if (err && err != -ETIME && err != -EBUSY)
		fprintf(stderr, "fnload: %s\n", gpufn_client_error(c));
	note(p, err, &o);
	free(o.at);
}

static void *client(void *data)
{
	double end = *(double *)data;
	struct gpufn_client *c = gpufn_client_new(NULL);
	size_t most = 0;
	struct plan p;
	void *inputs;

	for (size_t i = 0; i < load.nr; i++)
		most = load.sizes[i].n > most ? load.sizes[i].n : most;
	inputs = calloc(1, most);
	while (c && inputs && take(end, &p)) {
		wait_until(p.at);
		call(c, &p, inputs);
	}
	free(inputs);
	gpufn_client_free(c);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(void)
{
	const struct ended *e = &all.ended;
	unsigned int done = e->in_time + e->late;

	qsort(all.turnarounds, done, sizeof(double), compare);
	printf("{\"calls\": %u, \"in_time\": %u, \"late\": %u, \"dropped\": %u, \"refused\": %u, \"failed\": %u, \"behind\": "
	       "%u, "
	       "\"mean_seconds\": %.6f, \"p99_seconds\": %.6f, \"wasted_seconds\": %.6f}\n",
	       all.calls, e->in_time, e->late, e->dropped, e->refused, e->failed, all.behind, done ? e->turnaround / done : 0,
	       done ? all.turnarounds[done * 99 / 100] : 0, e->wasted);
}

int main(int argc, char **argv)
{
	pthread_t clients[CLIENTS];
	double end;

	if (argc < 7 || argc % 2 == 0 || (size_t)argc > 5 + 2 * SIZES_MAX) {
		fputs("Usage: fnload FUNCTION RATE SECONDS SEED [SIZE WORK]...\n", stderr);
		return 2;
	}
	load.function = argv[1];
	load.rate = atof(argv[2]);
	load.seconds = atof(argv[3]);
	srandom((unsigned int)atoi(argv[4]));
	for (int i = 5; i + 1 < argc; i += 2)
		load.sizes[load.nr++] = (struct size){ strtoul(argv[i], NULL, 10), atof(argv[i + 1]) };
	all.turnarounds = calloc((size_t)(load.rate * load.seconds * 4) + 1000, sizeof(double));
	if (!all.turnarounds)
		return 1;
	all.next = now();
	end = all.next + load.seconds;
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&clients[i], NULL, client, &end);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	print();
	free(all.turnarounds);
	return 0;
}
