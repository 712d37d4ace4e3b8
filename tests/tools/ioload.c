// SPDX-License-Identifier: GPL-2.0
/*
 * ioload read|write FILE SIZE THREADS WARMUP SECONDS [CGROUP]: THREADS threads do direct I/Os of SIZE bytes at random
 * places of FILE, one at a time each, first WARMUP, then SECONDS (which may have fractions); only the latter count.
 * With CGROUP, the directory of a cgroup, it moves there first. Prints one line: bytes a second, I/Os a second, and
 * the 50th and 99th percentile of latency in microseconds. Ends also at SIGTERM, with what it has.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define SPAN (64 << 20) /* of the file that is touched */
#define SLOTS (1 << 20) /* latencies of one microsecond each; the last holds all that are longer */

static volatile sig_atomic_t over;
static volatile bool counting;
static unsigned int slots[SLOTS];
static size_t size;
static bool writes;
static int fd;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_term(int number)
{
	(void)number;
	over = 1;
}

static void *worker(void *arg)
{
	unsigned int seed = (unsigned int)(size_t)arg;
	void *buffer;

	if (posix_memalign(&buffer, 4096, size))
		error(1, ENOMEM, "buffer");
	memset(buffer, 0x5a, size);
	while (!over) {
		off_t at = (off_t)((size_t)rand_r(&seed) % (SPAN / size) * size);
		double start = now();
		ssize_t n = writes ? pwrite(fd, buffer, size, at) : pread(fd, buffer, size, at);
		double us = (now() - start) * 1e6;

		if (n != (ssize_t)size)
			error(1, errno, "I/O at %lld", (long long)at);
		if (counting)
			__sync_fetch_and_add(&slots[us < SLOTS - 1 ? (unsigned int)us : SLOTS - 1], 1);
	}
	free(buffer);
	return NULL;
}

static void pause_for(double seconds)
{
	double end = now() + seconds;

	while (!over && now() < end) {
		struct timespec ts = { .tv_nsec = 10000000 };

		nanosleep(&ts, NULL);
	}
}

static unsigned int quantile(unsigned long long count, double q)
{
	unsigned long long seen = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		seen += slots[i];
		if ((double)seen >= q * (double)count)
			return i;
	}
	return SLOTS;
}

static void join_cgroup(const char *dir)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "w");
	if (!f || fprintf(f, "0") < 0 || fclose(f))
		error(1, errno, "%s", path);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	unsigned long long count = 0;
	unsigned int nr;
	double begin;

	if (argc < 7)
		error(2, 0, "usage: ioload read|write FILE SIZE THREADS WARMUP SECONDS [CGROUP]");
	if (argc > 7)
		join_cgroup(argv[7]);
	writes = !strcmp(argv[1], "write");
	size = strtoul(argv[3], NULL, 10);
	nr = (unsigned int)strtoul(argv[4], NULL, 10);
	fd = open(argv[2], (writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		error(1, errno, "%s", argv[2]);
	if (!size || !nr || nr > THREADS_MAX)
		error(2, 0, "SIZE or THREADS is out of range");
	signal(SIGTERM, on_term);
	for (unsigned int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)(size_t)(i + 1)))
			error(1, errno, "thread");
	pause_for(strtod(argv[5], NULL));
	counting = true;
	begin = now();
	pause_for(strtod(argv[6], NULL));
	counting = false;
	begin = now() - begin;
	over = 1;
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < SLOTS; i++)
		count += slots[i];
	printf("%.0f %.0f %u %u\n", (double)count * (double)size / begin, (double)count / begin, quantile(count, 0.5),
	       quantile(count, 0.99));
	return 0;
}
