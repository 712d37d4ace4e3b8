// SPDX-License-Identifier: GPL-2.0
/*
 * flow recv tcp|udp PORT WINDOW_MS: counts what comes, on any address, until it is killed. Per window that had any it
 * prints "MILLISECONDS BYTES": beginning on CLOCK_MONOTONIC, and payload.
 * flow send tcp|udp ADDRESS PORT SECONDS [BITS_PER_SECOND]: sends, as fast as it can or at that rate. Prints the bytes.
 * flow tap NAME WINDOW_MS FROM TO PORT: is a VM to a tap: counts what it gets, as above, and sends UDP at 60 Mbit/s.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/lib/util.h"

#define UDP_PAYLOAD 1472 /* a full Ethernet frame */
#define FLOWS_MAX 64

static char buf[1 << 20];

#define CHUNK (64 << 10) /* of what TCP is given at once */

static int open_socket(const char *protocol)
{
	int fd = socket(AF_INET, strcmp(protocol, "udp") ? SOCK_STREAM : SOCK_DGRAM, 0);

	if (fd < 0)
		error(1, errno, "socket");
	return fd;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port)) };

	if (!inet_aton(host, &a.sin_addr))
		error(2, 0, "%s is no address", host);
	return a;
}

static void put_window(unsigned long long ms, unsigned long long bytes)
{
	if (bytes)
		printf("%llu %llu\n", ms, bytes);
	fflush(stdout);
}

/* Adds @n bytes to the present window. */
static void count(ssize_t n, unsigned int window_ms)
{
	static unsigned long long start, bytes;
	unsigned long long now = now_ns() / 1000000 / window_ms * window_ms;

	if (now != start) {
		put_window(start, bytes);
		start = now;
		bytes = 0;
	}
	if (n > 0)
		bytes += (unsigned long long)n;
}

/* False: it ended. */
static bool count_socket(int fd, bool tcp, unsigned int window_ms)
{
	/* TCP can throw it away without a copy. */
	ssize_t n = recv(fd, buf, sizeof(buf), tcp ? MSG_TRUNC | MSG_DONTWAIT : MSG_DONTWAIT);

	count(n, window_ms);
	return n > 0 || (n < 0 && errno == EAGAIN) || !tcp;
}

static void receive(const char *protocol, const char *port, unsigned int window_ms)
{
	struct sockaddr_in a = address("0.0.0.0", port);
	struct pollfd fds[FLOWS_MAX] = { { .fd = open_socket(protocol), .events = POLLIN } };
	bool tcp = strcmp(protocol, "udp") != 0;
	nfds_t nr = 1;
	int on = 1;

	setsockopt(fds[0].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fds[0].fd, (struct sockaddr *)&a, sizeof(a)) || (tcp && listen(fds[0].fd, FLOWS_MAX)))
		error(1, errno, "port %s", port);
	for (;;) {
		/* A window ends also if nothing comes any more. */
		if (!poll(fds, nr, (int)window_ms))
			count_socket(fds[nr - 1].fd, tcp, window_ms);
		for (nfds_t i = nr; i-- > 0;) {
			if (!fds[i].revents)
				continue;
			if (tcp && !i && nr < FLOWS_MAX)
				fds[nr++] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL), .events = POLLIN };
			else if (!count_socket(fds[i].fd, tcp, window_ms)) {
				close(fds[i].fd);
				fds[i] = fds[--nr];
			}
		}
	}
}

static void wait_until(unsigned long long ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* A file's pages need not be copied. */
static int open_file(void)
{
	int fd = memfd_create("flow", 0);

	if (fd < 0 || write(fd, buf, CHUNK) != CHUNK)
		error(1, errno, "memfd");
	return fd;
}

static ssize_t transmit_some(int fd, int file, bool whole)
{
	off_t from = 0;

	return whole ? sendfile(fd, file, &from, CHUNK) : send(fd, buf, UDP_PAYLOAD, MSG_NOSIGNAL);
}

static void transmit(const char *protocol, const struct sockaddr_in *to, double seconds, double rate)
{
	bool whole = strcmp(protocol, "udp") != 0 && rate == 0;
	unsigned long long start = now_ns(), end = start + (unsigned long long)(seconds * 1e9), bytes = 0;
	struct timeval timeout = { .tv_sec = 1 };
	int fd = open_socket(protocol), file = open_file();

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		error(1, errno, "connect");
	while (now_ns() < end) {
		ssize_t n = transmit_some(fd, file, whole);

		if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ECONNREFUSED)
			error(1, errno, "send");
		bytes += n > 0 ? (unsigned long long)n : 0;
		if (rate > 0)
			wait_until(start + (unsigned long long)((double)bytes * 8e9 / rate));
	}
	/* What is still queued is not to be sent after the end. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
	close(fd);
	printf("%llu\n", bytes);
}

/* ---- a VM's end of a tap ---- */

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char payload[UDP_PAYLOAD];
} __attribute__((packed));

static unsigned short checksum(const void *data, size_t len)
{
	const unsigned short *at = data;
	unsigned int sum = 0;

	for (; len > 1; len -= 2)
		sum += *at++;
	sum = (sum >> 16) + (sum & 0xffff);
	return (unsigned short)~(sum + (sum >> 16));
}

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		error(1, errno, "tap %s", name);
	return fd;
}

/* To all: so it needs to know nobody's address. */
static void fill(struct frame *f, const char *from, const char *to, const char *port)
{
	memset(f, 0, sizeof(*f));
	memset(f->eth.h_dest, 0xff, sizeof(f->eth.h_dest));
	f->eth.h_source[0] = 2;
	f->eth.h_proto = htons(ETH_P_IP);
	f->ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP };
	f->ip.tot_len = htons(sizeof(*f) - sizeof(f->eth));
	f->ip.saddr = address(from, port).sin_addr.s_addr;
	f->ip.daddr = address(to, port).sin_addr.s_addr;
	f->ip.check = checksum(&f->ip, sizeof(f->ip));
	f->udp = (struct udphdr){ .source = htons(9), .dest = address(to, port).sin_port };
	f->udp.len = htons(sizeof(*f) - sizeof(f->eth) - sizeof(f->ip));
}

/* A tap takes all that is written: who sends without a pause uses a whole processor. 5 frames a millisecond are 60 Mbit/s. */
static void be_vm(const char *tap, unsigned int window_ms, const struct frame *f)
{
	int fd = open_tap(tap);
	ssize_t n;

	for (;;) {
		for (int i = 0; i < 5; i++)
			if (write(fd, f, sizeof(*f)) < 0 && errno != EAGAIN && errno != EIO)
				error(1, errno, "tap %s", tap);
		do {
			n = read(fd, buf, sizeof(buf));
			count(n, window_ms);
		} while (n > 0);
		wait_until(now_ns() + 1000000);
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "recv"))
		receive(argv[2], argv[3], (unsigned int)atoi(argv[4]));
	if (argc >= 7 && !strcmp(argv[1], "tap")) {
		struct frame f;

		fill(&f, argv[4], argv[5], argv[6]);
		be_vm(argv[2], (unsigned int)atoi(argv[3]), &f);
	}
	if (argc < 6 || strcmp(argv[1], "send") != 0)
		error(2, 0, "usage: see tests/tools/flow.c");
	signal(SIGPIPE, SIG_IGN);
	const struct sockaddr_in to = address(argv[3], argv[4]);

	transmit(argv[2], &to, atof(argv[5]), argc > 6 ? atof(argv[6]) : 0);
	return 0;
}
