// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/types.h>

#include "agent/lib/ipc.h"
#include "agent/lib/util.h"

struct reply_head {
	__s32 status;
	__u32 pad;
	__u64 len;
};

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static unsigned long long refused;

static int refuse(void)
{
	refused++;
	return -EBADMSG;
}

unsigned long long ipc_refused(void)
{
	return refused;
}

/* ---- what is sent along ---- */

int ipc_memfd(const char *text, size_t len)
{
	int fd = len <= IPC_TEXT_MAX ? memfd_create("nestor-text", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;

	if (fd < 0)
		return len > IPC_TEXT_MAX ? -EMSGSIZE : -errno;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		done += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | SEALS)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

int ipc_check_memfd(int fd, size_t *ret_len)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* fstat() of another file may ask a server: what has seals is memory. */
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) || (size_t)st.st_size > IPC_TEXT_MAX)
		return refuse();
	*ret_len = (size_t)st.st_size;
	return 0;
}

/* ---- messages ---- */

/* Sends @iov, and @fd with it unless it is -1. 0 or -errno. */
static int send_with(int sock, struct iovec *iov, int fd, int flags)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	union fd_control control = {};
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int ipc_send_reply(int sock, int status, const char *text, size_t len)
{
	struct reply_head head = { .status = status, .len = len };
	struct iovec iov = { .iov_base = &head, .iov_len = sizeof(head) };
	_close_ int fd = ipc_memfd(text, len);

	return fd < 0 ? fd : send_with(sock, &iov, fd, MSG_DONTWAIT);
}

int ipc_send_request(int sock, const char *words, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (void *)words, .iov_len = len };

	return send_with(sock, &iov, fd, 0);
}

static int wait_readable(int sock, int timeout_ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* What came with a message that is none of ours. */
static void close_fds(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
}

/* Receives into @iov and, if one descriptor came with it, *@ret_fd, else -1. The number of bytes or -errno. */
static ssize_t recv_with(int sock, struct iovec *iov, int *ret_fd, int flags)
{
	union fd_control control;
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags);
	struct cmsghdr *c = len < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	*ret_fd = -1;
	if (len < 0)
		return -errno;
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    (c && (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int))))) {
		close_fds(&msg);
		return refuse();
	}
	if (c)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return len;
}

int ipc_recv_reply(int sock, int timeout_ms, int *ret_status, int *ret_fd, size_t *ret_len)
{
	struct reply_head head;
	struct iovec iov = { .iov_base = &head, .iov_len = sizeof(head) };
	_close_ int fd = -1;
	ssize_t len;
	int err;

	err = wait_readable(sock, timeout_ms);
	if (err)
		return err;
	len = recv_with(sock, &iov, &fd, MSG_DONTWAIT);
	if (len == -EBADMSG)
		return -EBADMSG;
	if (len == -EAGAIN)
		return -ETIMEDOUT;
	if (len <= 0)
		return -ECONNRESET;
	if (len != sizeof(head) || fd < 0)
		return refuse();
	err = ipc_check_memfd(fd, ret_len);
	if (err || *ret_len != head.len)
		return err ?: refuse();
	*ret_fd = fd;
	fd = -1;
	*ret_status = head.status;
	return 0;
}

ssize_t ipc_recv_request(int sock, char *words, size_t size, int *ret_fd)
{
	struct iovec iov = { .iov_base = words, .iov_len = size };

	return recv_with(sock, &iov, ret_fd, MSG_DONTWAIT);
}
