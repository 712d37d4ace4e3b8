// SPDX-License-Identifier: GPL-2.0
/*
 * httpraw HOST PORT: sends what it reads from stdin, byte for byte, then ends its side and prints what
 * comes back. Exit status 1 if the server has not closed the connection after 15 seconds.
 */
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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
	size_t len;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 3)
		return 2;
	len = fread(request, 1, sizeof(request), stdin);
	fd = connect_to(argv[1], argv[2]);
	if (fd < 0) {
		perror("httpraw");
		return 2;
	}
	send_all(fd, request, len);
	return print_answer(fd) ? 0 : 1;
}
