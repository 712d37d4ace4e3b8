/* SPDX-License-Identifier: GPL-2.0 */
/* Processes into which calls are put, and what they tell. */
#ifndef NESTOR_TESTS_VICTIM_H
#define NESTOR_TESTS_VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dedup/inject.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define PAGE 4096

/* What the victim tells. */
static struct told {
	_Atomic uint64_t rounds, wrong, signals;
	uint8_t *memory;
	_Atomic int ready, go, result;
	char text[128]; /* of what was wrong first */
} * told;

static inline void wrong(const char *what, long got)
{
	if (!told->wrong++)
		snprintf(told->text, sizeof(told->text), "%s: %ld, errno %d", what, got, errno);
}

static inline void told_open(void)
{
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void __attribute__((noreturn)) live(void (*round)(void), size_t ranges)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	told->memory = mmap(NULL, 2 * ranges * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(told->memory, 7, 2 * ranges * PAGE);
	for (;;) {
		round();
		told->rounds++;
		told->ready = 1;
	}
}

/* One with memory for that many ranges, which does its rounds. */
static inline pid_t victim(void (*round)(void), size_t ranges)
{
	pid_t pid;

	memset(told, 0, sizeof(*told));
	fflush(stdout);
	pid = fork();
	if (!pid)
		live(round, ranges);
	while (!told->ready)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return pid;
}

/* Every other page */
static inline void ranges_of(struct inject_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ranges[i] = (struct inject_range){ (uint64_t)(uintptr_t)told->memory + 2 * i * PAGE, PAGE };
}

/* Pages of @pid's that are mergeable */
static inline unsigned long mergeable(pid_t pid)
{
	char path[64], line[512];
	_fclose_ FILE *f = NULL;
	unsigned long begin = 0, end = 0, pages = 0, b, e;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &b, &e) == 2) {
			begin = b;
			end = e;
		}
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, " mg"))
			pages += (end - begin) / PAGE;
	}
	return pages;
}

static inline void is_alive(pid_t pid, const char *name)
{
	uint64_t rounds = told->rounds, until = now_ns() + 60000000000ULL;

	while (told->rounds < rounds + 3 && now_ns() < until && !waitpid(pid, NULL, WNOHANG))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ok(told->rounds >= rounds + 3, "inject: %s: the process continues", name);
	if (!ok(!told->wrong, "inject: %s: nothing was wrong in %llu rounds", name, (unsigned long long)told->rounds))
		printf("# %llu times, first %s\n", (unsigned long long)told->wrong, told->text);
}

static inline void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static inline int inject_pid(pid_t pid, int advice, const struct inject_range *ranges, size_t n, struct injection *ret)
{
	struct identity id;
	int err = identity_open(pid, &id) ?: inject_madvise(&id, advice, ranges, n, INJECT_TIMEOUT_MS, ret);

	identity_close(&id);
	return err;
}

#endif
