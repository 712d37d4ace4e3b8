// SPDX-License-Identifier: GPL-2.0
/*
 * httpraw [--orphan] HOST PORT | SOCKET
 *
 * Sends what it reads from stdin, byte for byte, then ends its side and prints what comes back. Exit status 1 if the server has
 * not closed the connection after 15 seconds. --orphan: a child does that, and the process that connected has ended before.
 */
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 15000
#define REQUEST_MAX (4 << 20)

static int connect_to(const char *host, const char *port)
{
	struct addrinfo *ai, hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &ai))
		return -1;
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static int connect_to_path(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -1 : fd;
}

/* In the child, when its parent is no more. */
static void leave_to_child(void)
{
	int pipe_fds[2];
	char byte;

	if (pipe(pipe_fds))
		exit(2);
	if (fork())
		_exit(0);
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &byte, 1) < 0)
		exit(2);
}

/* A server that has had enough resets the connection: then there is nothing more to send. */
static void send_all(int fd, const char *text, size_t len)
{
	ssize_t n = 1;

	for (size_t done = 0; done < len && n > 0; done += (size_t)n)
		n = send(fd, text + done, len - done, 0);
	shutdown(fd, SHUT_WR);
}

static bool print_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[4096];
	ssize_t n;

	while (poll(&p, 1, TIMEOUT_MS) == 1) {
		n = recv(fd, text, sizeof(text), 0);
		if (n <= 0)
			return true;
		fwrite(text, 1, (size_t)n, stdout);
	}
	return false;
}

int main(int argc, char **argv)
{
	static char request[REQUEST_MAX];
	bool orphan;
	size_t len;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	orphan = argc > 1 && !strcmp(argv[1], "--orphan");
	argv += orphan;
	argc -= orphan;
	if (argc != 2 && argc != 3)
		return 2;
	len = fread(request, 1, sizeof(request), stdin);
	fd = argc == 3 ? connect_to(argv[1], argv[2]) : connect_to_path(argv[1]);
	if (fd < 0) {
		perror("httpraw");
		return 2;
	}
	if (orphan)
		leave_to_child();
	send_all(fd, request, len);
	return print_answer(fd) ? 0 : 1;
}
