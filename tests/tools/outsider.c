// SPDX-License-Identifier: GPL-2.0
/*
 * outsider WHEN PAGES: memory that has the content of that of `dups PAGES 100 8`, and tells KSM of it:
 *	first		at once, by its second thread; its first one has ended
 *	runs		when KSM is running
 *	again		the same, but it has told KSM before, and has taken that back
 *	merges		when KSM has merged something
 * Says "ready" when the memory is there, and "told" when KSM knows.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/pages.h"

static const char *when;
static size_t pages;
static uint64_t *memory;

static unsigned long number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		exit(2);
	close(fd);
	return strtoul(text, NULL, 10);
}

static int is_time(void)
{
	if (!strcmp(when, "first"))
		return 1;
	if (!strcmp(when, "merges") && !number("/sys/kernel/mm/ksm/pages_shared"))
		return 0;
	return number("/sys/kernel/mm/ksm/run") == 1;
}

static void advise(int advice)
{
	if (madvise(memory, pages * PAGE, advice)) {
		perror("outsider");
		exit(2);
	}
}

static _Noreturn void *tell(void *unused)
{
	(void)unused;
	while (!is_time())
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	advise(MADV_MERGEABLE);
	printf("told\n");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t second;

	if (argc != 3)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	when = argv[1];
	pages = strtoul(argv[2], NULL, 10);
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, pages * PAGE, MADV_NOHUGEPAGE))
		return 2;
	for (size_t i = 0; i < pages; i++)
		fill(memory + i * WORDS, i + 1);
	if (!strcmp(when, "again")) {
		advise(MADV_MERGEABLE);
		advise(MADV_UNMERGEABLE);
	}
	printf("ready\n");
	fflush(stdout);
	if (strcmp(when, "first") != 0)
		tell(NULL);
	if (pthread_create(&second, NULL, tell, NULL))
		return 2;
	return (int)syscall(SYS_exit, 0); /* this thread alone */
}
