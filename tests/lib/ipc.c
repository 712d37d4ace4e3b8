// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 5
 * lane: free
 * Messages between the agent and its peers: only a sealed memfd of the announced size is taken, all else is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/lib/ipc.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define TEXT "ten bytes."
#define SIZE (sizeof(TEXT) - 1)
#define SEALED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int sockets[2];

static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static int memfd(int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return write(fd, TEXT, SIZE) == SIZE && !fcntl(fd, F_ADD_SEALS, seals) ? fd : -1;
}

/* Sends what the agent's peers would, with @nr descriptors, and closes these. */
static void send_as_peer(const int *fds, unsigned int nr, uint64_t len)
{
	const struct {
		int status, pad;
		uint64_t len;
	} head = { .len = len };
	struct iovec iov = { .iov_base = (void *)&head, .iov_len = sizeof(head) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { .align = { CMSG_LEN(nr * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, nr * sizeof(int));
	}
	ok(sendmsg(sockets[0], &msg, MSG_DONTWAIT) == sizeof(head), "(a message is sent)");
	for (unsigned int i = 0; i < nr; i++)
		close(fds[i]);
}

static void test_refused(const char *what, const int *fds, unsigned int nr, uint64_t len)
{
	unsigned long long refused = ipc_refused();
	int status, fd = -1, before;
	size_t size;

	send_as_peer(fds, nr, len);
	before = next_fd();
	is_u64(EBADMSG, (unsigned int)-ipc_recv_reply(sockets[1], 0, &status, &fd, &size),
	       named("ipc: a message with %s is refused", what));
	is_u64(refused + 1, ipc_refused(), named("ipc: a message with %s is counted", what));
	is_u64((unsigned int)before, (unsigned int)next_fd(), named("ipc: a message with %s leaves no descriptor open", what));
}

static void test_one(const char *what, int fd, uint64_t len)
{
	test_refused(what, &fd, 1, len);
}

static void test_text(void)
{
	int status, fd = -1;
	size_t len;

	ok(!ipc_send_reply(sockets[0], -5, TEXT, SIZE) && !ipc_recv_reply(sockets[1], 0, &status, &fd, &len) && status == -5 &&
		   len == SIZE,
	   "ipc: a text is received");
	close(fd);
	is_u64(ETIMEDOUT, (unsigned int)-ipc_recv_reply(sockets[1], 0, &status, &fd, &len), "ipc: no message is a timeout");
	is_u64(EMSGSIZE, (unsigned int)-ipc_send_reply(sockets[0], 0, TEXT, IPC_TEXT_MAX + 1), "ipc: a huge text is not sent");
}

/* A peer that does not read: what is sent to it neither waits nor takes more and more memory. */
static void test_deaf(void)
{
	unsigned int sent = 0;
	int err;

	while (!(err = ipc_send_reply(sockets[0], 0, TEXT, SIZE)) && sent < 100000)
		sent++;
	is_u64(EAGAIN, (unsigned int)-err, "ipc: a peer that does not read is not waited for");
}

int main(void)
{
	int ends[2], file = fileno(tmpfile());
	const int two[] = { memfd(SEALED), memfd(SEALED) }, three[] = { memfd(SEALED), memfd(SEALED), memfd(SEALED) };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) || pipe2(ends, O_CLOEXEC))
		return 1;
	test_text();
	test_one("a pipe", ends[0], SIZE);
	test_one("a file", dup(file), 0);
	test_one("a memfd without seals", memfd(0), SIZE);
	test_one("a memfd that can be written", memfd(F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
	test_one("a memfd that can shrink", memfd(F_SEAL_GROW | F_SEAL_WRITE), SIZE);
	test_one("a memfd that is smaller than announced", memfd(SEALED), SIZE + 1);
	test_one("a memfd that is larger than announced", memfd(SEALED), 1);
	test_refused("two descriptors", two, 2, SIZE);
	test_refused("three descriptors", three, 3, SIZE);
	test_refused("no descriptor", NULL, 0, SIZE);
	test_deaf();
	return done_testing();
}
