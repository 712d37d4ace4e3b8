/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_UTIL_H
#define NESTOR_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <linux/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Freed or closed when the variable goes out of scope; initialise it where it is declared. */
#define _free_ __attribute__((cleanup(free_p)))
#define _close_ __attribute__((cleanup(close_p)))
#define _fclose_ __attribute__((cleanup(fclose_p)))

/*
 * Up to @size - 1 bytes of a file in directory @dir, and a NUL. Returns their number or -errno. For /proc and cgroups: opening
 * waits neither for a FIFO's other end nor for the holder of a lease.
 */
ssize_t util_read_file_at(int dir, const char *name, char *ret, size_t size);

/*
 * Opens /dev/null as each of the descriptors 0, 1 and 2 that is closed: else the next file that this program opens would become
 * one of them, and standard error of its children. Call it first of all. 0 or -errno.
 */
int util_open_standard_fds(void);

/* Where @name stands among @nr of @names; @nr: nowhere, or it is NULL. */
unsigned int util_find_name(const char *const *names, unsigned int nr, const char *name);

/* The clock of bpf_ktime_get_ns(). */
static inline __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000ULL + (__u64)ts.tv_nsec;
}

/* The same in seconds. */
static inline double now_s(void)
{
	return (double)now_ns() / 1e9;
}

/* Milliseconds since 1970, as people's clocks have them. */
static inline __u64 real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (__u64)ts.tv_sec * 1000 + (__u64)ts.tv_nsec / 1000000;
}

#endif
