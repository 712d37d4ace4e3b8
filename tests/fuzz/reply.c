// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 64
 * A reply of the agent: any message is refused or gives one descriptor, and none is left open. The first byte says how
 * many descriptors come with it, all of them a sealed memfd of 9 bytes. A text that was sent comes back as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/lib/ipc.h"
#include "tests/fuzz/fuzz.h"

#define FDS_MAX 3

#define TEXT "of a peer"

static int sockets[2] = { -1, -1 }, memfd, free_fd;

/* The lowest number that is free. */
static int next_fd(void)
{
	int fd = dup(sockets[0]);

	close(fd);
	return fd;
}

static void send_message(const void *data, size_t len, size_t fds)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int *fd = (int *)CMSG_DATA(&control.align);

	if (fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(fds * sizeof(int)) };
		for (size_t i = 0; i < fds; i++)
			fd[i] = memfd;
	}
	MUST(sendmsg(sockets[0], &msg, MSG_DONTWAIT) == (ssize_t)len);
}

static void check_any(struct input in)
{
	size_t fds = take_byte(&in) % (FDS_MAX + 1), len;
	int status, fd = -1, err;

	if (!in.len)
		return;
	send_message(in.data, in.len, fds);
	err = ipc_recv_reply(sockets[1], 0, &status, &fd, &len);
	MUST(err <= 0 && (err || fds == 1));
	if (!err) {
		MUST(in.len == 16 && !memcmp(&status, in.data, 4) && !memcmp(&len, in.data + 8, 8) && len == strlen(TEXT));
		close(fd);
	}
	MUST(next_fd() == free_fd);
}

static void check_text(const char *text, size_t len)
{
	int status, fd = -1;
	char back[64];
	size_t back_len;

	MUST(!ipc_send_reply(sockets[0], -(int)len, text, len));
	MUST(!ipc_recv_reply(sockets[1], 0, &status, &fd, &back_len));
	MUST(status == -(int)len && back_len == len && read(fd, back, sizeof(back)) == (ssize_t)len &&
	     !memcmp(back, text, len));
	MUST(write(fd, "x", 1) < 0 && ftruncate(fd, 0) < 0);
	close(fd);
	MUST(next_fd() == free_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (sockets[0] < 0) {
		MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets));
		memfd = ipc_memfd(TEXT, strlen(TEXT));
		free_fd = next_fd();
	}
	if (size && data[0] == 't' && size <= 64)
		check_text((const char *)data, size);
	else
		check_any((struct input){ data, size });
	return 0;
}
