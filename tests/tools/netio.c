// SPDX-License-Identifier: GPL-2.0
/*
 * Network traffic of known size.
 *
 *	netio sink|serve ADDR [BYTES]        listens, prints its port, takes one connection; reads to its end, or sends BYTES
 *	netio source|fetch ADDR PORT [BYTES [MARK]]  connects; sends BYTES, or reads to the end
 *	netio sinks ADDR COUNT               the same as sink and source, COUNT times, one after the other
 *	netio sources ADDR PORT COUNT BYTES
 *	netio udp-sink ADDR COUNT            prints its port, waits for COUNT datagrams
 *	netio udp-source ADDR PORT COUNT SIZE
 *	netio tap NAME|/dev/tapN             holds a tap or macvtap; answers lines "frames COUNT SIZE" and "gso SIZE MSS" with
 *"sent"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char buf[1 << 16];

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

static struct address address(const char *text, const char *port)
{
	struct address a = {};
	struct sockaddr_in6 *v6 = (void *)&a.sa;
	struct sockaddr_in *v4 = (void *)&a.sa;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		a.len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(port));
		a.len = sizeof(*v6);
	} else {
		error(2, 0, "%s: not an address", text);
	}
	return a;
}

static int must(int result, const char *what)
{
	if (result < 0)
		error(1, errno, "%s", what);
	return result;
}

/* Bound to any free port, which it prints. */
static int bound(const char *addr, int type)
{
	struct address a = address(addr, "0");
	int fd = must(socket(a.sa.ss_family, type, 0), "socket");

	must(bind(fd, (void *)&a.sa, a.len), "bind");
	if (type == SOCK_STREAM)
		must(listen(fd, 1), "listen");
	must(getsockname(fd, (void *)&a.sa, &a.len), "getsockname");
	printf("%d\n", ntohs(((struct sockaddr_in *)&a.sa)->sin_port)); /* IPv6 has it at the same place */
	fflush(stdout);
	return fd;
}

static int connected(const char *addr, const char *port, int type, const char *mark)
{
	struct address a = address(addr, port);
	int fd = must(socket(a.sa.ss_family, type, 0), "socket");
	unsigned int value = mark ? (unsigned int)atoi(mark) : 0;

	if (mark)
		must(setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof(value)), "SO_MARK");
	must(connect(fd, (void *)&a.sa, a.len), "connect");
	return fd;
}

static void read_all(int fd)
{
	while (must((int)read(fd, buf, sizeof(buf)), "read") > 0)
		;
}

static void write_bytes(int fd, long left)
{
	while (left > 0)
		left -= must((int)write(fd, buf, left < (long)sizeof(buf) ? (size_t)left : sizeof(buf)), "write");
}

/* The end of the other side is waited for: what is not acknowledged yet would be counted later. */
static void send_and_wait(int fd, const char *bytes)
{
	write_bytes(fd, atol(bytes));
	must(shutdown(fd, SHUT_WR), "shutdown");
	read_all(fd);
}

static void read_many(int listener, long count)
{
	while (count--) {
		int fd = must(accept(listener, NULL, NULL), "accept");

		read_all(fd);
		close(fd);
	}
}

static void send_many(const char *addr, const char *port, long count, const char *bytes)
{
	while (count--) {
		int fd = connected(addr, port, SOCK_STREAM, NULL);

		send_and_wait(fd, bytes);
		close(fd);
	}
}

static void datagrams(const char *addr, const char *port, long count, size_t size)
{
	int fd = connected(addr, port, SOCK_DGRAM, NULL);

	for (long i = 0; i < count; i++)
		must((int)send(fd, buf, size, 0), "send");
}

static void wait_datagrams(const char *addr, long count)
{
	int fd = bound(addr, SOCK_DGRAM), room = 8 << 20;

	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), "SO_RCVBUFFORCE");
	while (count--)
		must((int)recv(fd, buf, sizeof(buf), 0), "recv");
}

/* ---- tap ---- */

static int open_tap(const char *name)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const char *path = name[0] == '/' ? name : "/dev/net/tun";
	int fd = must(open(path, O_RDWR), path);

	if (path != name)
		snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	must(ioctl(fd, TUNSETIFF, &req), "TUNSETIFF");
	must(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), "TUNSETOFFLOAD");
	return fd;
}

/* A frame whose IP packet has @size bytes; to nobody, who does not answer. */
static void send_frame(int tap, size_t size, unsigned int mss)
{
	static struct {
		char mac[14];
		struct iphdr ip;
		struct tcphdr tcp;
		char data[1 << 16];
	} __attribute__((packed)) frame;
	struct virtio_net_hdr head = {};
	char out[sizeof(head) + sizeof(frame)];

	memcpy(frame.mac, "\x02\0\0\0\0\x99\x02\0\0\0\0\x01\x08", 14);
	frame.ip =
		(struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons((uint16_t)size) };
	frame.ip.saddr = frame.ip.daddr = htonl(0xc6336401);
	frame.tcp = (struct tcphdr){ .doff = 5, .ack = 1 };
	if (mss)
		head = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						.hdr_len = 54,
						.gso_size = (__u16)mss,
						.csum_start = 34,
						.csum_offset = 16 };
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &frame, size + 14);
	must((int)write(tap, out, sizeof(head) + 14 + size), "write to tap");
}

static void hold_tap(const char *name)
{
	int tap = open_tap(name);
	unsigned int a, b;
	char line[64];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "gso %u %u", &a, &b) == 2)
			send_frame(tap, a, b);
		else if (sscanf(line, "frames %u %u", &a, &b) == 2)
			while (a--)
				send_frame(tap, b, 0);
		puts("sent");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "", *arg[4];

	alarm(60); /* whatever waits in vain */
	for (int i = 0; i < 4; i++)
		arg[i] = i + 2 < argc ? argv[i + 2] : NULL;
	if (!strcmp(what, "sink"))
		read_all(must(accept(bound(arg[0], SOCK_STREAM), NULL, NULL), "accept"));
	else if (!strcmp(what, "serve") && arg[1])
		send_and_wait(must(accept(bound(arg[0], SOCK_STREAM), NULL, NULL), "accept"), arg[1]);
	else if (!strcmp(what, "source") && arg[2])
		send_and_wait(connected(arg[0], arg[1], SOCK_STREAM, arg[3]), arg[2]);
	else if (!strcmp(what, "sinks") && arg[1])
		read_many(bound(arg[0], SOCK_STREAM), atol(arg[1]));
	else if (!strcmp(what, "sources") && arg[3])
		send_many(arg[0], arg[1], atol(arg[2]), arg[3]);
	else if (!strcmp(what, "fetch") && arg[1])
		read_all(connected(arg[0], arg[1], SOCK_STREAM, NULL));
	else if (!strcmp(what, "udp-sink") && arg[1])
		wait_datagrams(arg[0], atol(arg[1]));
	else if (!strcmp(what, "udp-source") && arg[3])
		datagrams(arg[0], arg[1], atol(arg[2]), (size_t)atol(arg[3]));
	else if (!strcmp(what, "tap"))
		hold_tap(arg[0]);
	else
		error(2, 0, "see its first lines for what to give it");
	return 0;
}
