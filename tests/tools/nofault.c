// SPDX-License-Identifier: GPL-2.0
/*
 * nofault: memory that goes and comes again all the time, until somebody reads it who missed a page: he waits for ever, as the
 * memory has a userfaultfd that nobody answers. Says "ready" when it is there; until SIGTERM.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#define BYTES (256UL * 4096)

int main(void)
{
	static char content[BYTES] __attribute__((aligned(4096)));
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { (uintptr_t)memory, BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(content, 0x5a, sizeof(content));
	if (fd < 0 || memory == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range)) {
		perror("nofault");
		return 2;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct uffdio_copy copy = { .dst = (uintptr_t)memory, .src = (uintptr_t)content, .len = BYTES };

		if (ioctl(fd, UFFDIO_COPY, &copy) || madvise(memory, BYTES, MADV_DONTNEED)) {
			perror("nofault");
			return 2;
		}
		if (poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1)
			pause();
	}
}
