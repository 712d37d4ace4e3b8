// SPDX-License-Identifier: GPL-2.0
/*
 * slowclients PORT COUNT: keeps COUNT connections to 127.0.0.1:PORT, until it is killed. One third sends
 * a byte a second, one third asks and never reads the answer, one third says nothing. One that the server
 * has closed is opened again within a second. Prints a line when all are connected, and
 * then one a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { DRIPS, DEAF, SILENT, KINDS };

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/* Good as far as it goes, which is forever. */
static const char drops[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

struct client {
	size_t sent; /* of drops */
	enum kind kind;
};

static struct sockaddr_in server = { .sin_family = AF_INET };

static int open_client(const struct client *c)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 1;

	if (fd < 0)
		return -1;
	if (c->kind == DEAF)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (connect(fd, (struct sockaddr *)&server, sizeof(server))) {
		close(fd);
		return -1;
	}
	if (c->kind == DEAF)
		send(fd, request, sizeof(request) - 1, MSG_DONTWAIT);
	return fd;
}

static void drip(struct client *c, int fd)
{
	char drop = c->sent < sizeof(drops) - 1 ? drops[c->sent] : 'a';

	c->sent += send(fd, &drop, 1, MSG_DONTWAIT) == 1;
}

/* True also for one with an answer that it does not read: that connection is still there. */
static int is_open(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 0;
}

static void tick(struct client *clients, int *fds, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (fds[i] >= 0 && !is_open(fds[i])) {
			close(fds[i]);
			fds[i] = -1;
		}
		if (fds[i] < 0) {
			clients[i].sent = 0;
			fds[i] = open_client(&clients[i]);
		}
		if (fds[i] >= 0 && clients[i].kind == DRIPS)
			drip(&clients[i], fds[i]);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };
	struct client *clients;
	size_t nr;
	int *fds;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (argc != 3 || setrlimit(RLIMIT_NOFILE, &files))
		return 2;
	server.sin_port = htons((unsigned short)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	nr = (size_t)atol(argv[2]);
	clients = calloc(nr, sizeof(*clients));
	fds = calloc(nr, sizeof(*fds));
	if (!clients || !fds)
		return 2;
	for (size_t i = 0; i < nr; i++) {
		clients[i].kind = i % KINDS;
		fds[i] = open_client(&clients[i]);
		if (fds[i] < 0) {
			perror("slowclients");
			return 1;
		}
	}
	for (;;) {
		puts("ready");
		fflush(stdout);
		tick(clients, fds, nr);
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	}
}
