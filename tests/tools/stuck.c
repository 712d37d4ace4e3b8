// SPDX-License-Identifier: GPL-2.0
/*
 * Peers that have the agent wait, until they are killed. Each prints "ready" once it is in its place:
 *	stuck silent SOCKET N	N clients of the control socket that connect and say nothing
 *	stuck deaf SOCKET N	N clients that ask for the metrics and do not read the answer
 *	stuck pipe PID FD	sends a pipe in place of a sealed memfd, over the socket that process PID has as FD
 *	stuck lease FILE	holds a write lease on FILE
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void be_client(const char *path, const char *words)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		fail(path);
	if (words && send(fd, words, strlen(words) + 1, 0) < 0)
		fail("send");
}

/* As agent/lib/ipc.c sends a text of 10 bytes. */
static void send_pipe(pid_t pid, int number)
{
	const struct {
		int status, pad;
		unsigned long long len;
	} head = { .len = 10 };
	struct iovec iov = { .iov_base = (void *)&head, .iov_len = sizeof(head) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	const struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	int process = (int)syscall(SYS_pidfd_open, pid, 0), ends[2];
	int sock = (int)syscall(SYS_pidfd_getfd, process, number, 0);

	if (sock < 0 || pipe(ends))
		fail("pidfd_getfd");
	memcpy(CMSG_DATA(&control.align), &ends[0], sizeof(int));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		fail("sendmsg");
	close(sock);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 2 ? argv[1] : "";
	int number = argc > 3 ? atoi(argv[3]) : 0, fd;

	if (!strcmp(kind, "pipe")) {
		send_pipe(atoi(argv[2]), number);
	} else if (!strcmp(kind, "lease")) {
		signal(SIGIO, SIG_IGN);
		fd = open(argv[2], O_RDWR | O_CLOEXEC);
		if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK))
			fail(argv[2]);
	} else if (!strcmp(kind, "silent") || !strcmp(kind, "deaf")) {
		for (int i = 0; i < number; i++)
			be_client(argv[2], *kind == 'd' ? "metrics" : NULL);
	} else {
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
