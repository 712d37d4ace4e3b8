// SPDX-License-Identifier: GPL-2.0
/*
 * labsh: runs commands in the machines of a lab. No authentication: for machines that only their maker can reach.
 *
 *	labsh serve tcp|vsock PORT         runs what it is told, as root; for a CID other than 0 it passes everything on
 *	labsh run ADDR:PORT CID COMMAND…   has it run: stdin, stdout, stderr and exit status are the command's
 *
 * A request is a CID (0: the server's own machine), a length, and the command's words, each with a NUL. Then each side
 * sends frames: of the client all are stdin, an empty one its end; the server's last one is the exit status. The
 * command is killed when the client goes; what it left in the background lives on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define VSOCK_PORT 7000 /* where guests serve */
#define REQUEST_MAX (1 << 20)
#define FAILED 125 /* exit status: it could not be asked */

enum stream { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_EXIT };

struct frame {
	uint32_t stream, len;
};

struct request {
	uint32_t cid, len; /* bytes of the words that follow */
};

static char buf[65536];

static int must(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "labsh: %s: %s\n", what, strerror(errno));
		exit(FAILED);
	}
	return result;
}

static bool write_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	for (char *at = data; len;) {
		ssize_t n = read(fd, at, len);

		if (!n || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool send_frame(int fd, enum stream stream, const void *data, size_t len)
{
	struct frame f = { .stream = stream, .len = (uint32_t)len };

	return write_all(fd, &f, sizeof(f)) && write_all(fd, data, len);
}

static int connect_vsock(uint32_t cid)
{
	struct sockaddr_vm to = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = VSOCK_PORT };
	int fd = must(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), "vsock");

	must(connect(fd, (struct sockaddr *)&to, sizeof(to)), "cannot reach the guest");
	return fd;
}

/* ---- the server ---- */

/* What can be read of @from goes to @to as frames. False: it has ended, or nobody takes it. */
static bool pass(int from, int to, enum stream stream)
{
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && send_frame(to, stream, buf, (size_t)n);
}

/* One frame of the client's. False: there is no more stdin, or no client. */
static bool take_stdin(int client, int to)
{
	struct frame f;

	if (!read_all(client, &f, sizeof(f)) || !f.len || f.len > sizeof(buf) || !read_all(client, buf, f.len))
		return false;
	write_all(to, buf, f.len); /* a command that does not read it loses it */
	return true;
}

/* Each direction has a process: one that waits for its reader must not keep the other from going on. */
static pid_t fork_mortal(void)
{
	pid_t parent = getpid(), pid = must(fork(), "fork");

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct child {
	pid_t pid;
	int pidfd, in, out, err;
};

static struct child start(char **argv)
{
	int in[2], out[2], err[2];
	struct child c;

	must(pipe(in) | pipe(out) | pipe(err), "pipe");
	c = (struct child){ .pid = must(fork(), "fork"), .in = in[1], .out = out[0], .err = err[0] };
	if (!c.pid) {
		setsid();
		signal(SIGPIPE, SIG_DFL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
		execvp(argv[0], argv);
		fprintf(stderr, "labsh: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	c.pidfd = must((int)syscall(SYS_pidfd_open, c.pid, 0), "pidfd");
	close(in[0]);
	close(out[1]);
	close(err[1]);
	return c;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* In a process of its own: stdin, and then the client's end, which is the command's. */
static void __attribute__((noreturn)) serve_stdin(int client, const struct child *c)
{
	char byte;

	while (take_stdin(client, c->in))
		;
	close(c->in);
	while (read(client, &byte, 1) > 0)
		;
	kill(-c->pid, SIGKILL);
	_exit(0);
}

/* Until the command ends: what is still in its pipes then is its output, and what others write later is not. */
static void serve_command(int client, char **argv)
{
	struct child c = start(argv);
	struct pollfd p[] = { { .fd = c.out, .events = POLLIN },
			      { .fd = c.err, .events = POLLIN },
			      { .fd = c.pidfd, .events = POLLIN } };
	pid_t feeder = fork_mortal();
	uint32_t status;
	int result;

	if (!feeder)
		serve_stdin(client, &c);
	close(c.in);
	do {
		must(poll(p, 3, -1), "poll");
		if (p[0].revents && !pass(c.out, client, STREAM_STDOUT))
			p[0].fd = -1;
		if (p[1].revents && !pass(c.err, client, STREAM_STDERR))
			p[1].fd = -1;
	} while (!p[2].revents);
	while (is_readable(c.out) && pass(c.out, client, STREAM_STDOUT))
		;
	while (is_readable(c.err) && pass(c.err, client, STREAM_STDERR))
		;
	end(feeder); /* before the client knows: its going would otherwise be the end of what was left in the background */
	waitpid(c.pid, &result, 0);
	status = WIFEXITED(result) ? (uint32_t)WEXITSTATUS(result) : 128U + (uint32_t)WTERMSIG(result);
	send_frame(client, STREAM_EXIT, &status, sizeof(status));
}

static void copy(int from, int to)
{
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 && write_all(to, buf, (size_t)n))
		;
	shutdown(to, SHUT_RDWR); /* who ends this side has no use for the other */
}

static void relay_to(int client, struct request r, const char *words)
{
	int guest = connect_vsock(r.cid);
	pid_t forward;

	r.cid = 0;
	if (!write_all(guest, &r, sizeof(r)) || !write_all(guest, words, r.len))
		return;
	forward = fork_mortal();
	if (!forward) {
		copy(client, guest);
		_exit(0);
	}
	copy(guest, client);
	end(forward);
}

static void answer(int client)
{
	struct request r;
	char *words, **argv;
	size_t nr = 0;

	if (!read_all(client, &r, sizeof(r)) || !r.len || r.len > REQUEST_MAX)
		return;
	words = malloc(r.len);
	argv = calloc(r.len + 1, sizeof(*argv));
	if (!words || !argv || !read_all(client, words, r.len) || words[r.len - 1])
		return;
	if (r.cid) {
		relay_to(client, r, words);
		return;
	}
	for (char *word = words; word < words + r.len; word += strlen(word) + 1)
		argv[nr++] = word;
	serve_command(client, argv);
}

static int listen_tcp(unsigned short port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(bind(fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	return fd;
}

static int listen_vsock(unsigned int port)
{
	struct sockaddr_vm at = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int fd = must(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), "vsock");

	must(bind(fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	return fd;
}

static void serve(int fd)
{
	must(listen(fd, 64), "listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (client >= 0 && !fork()) {
			signal(SIGCHLD, SIG_DFL);
			answer(client);
			_exit(0);
		}
		if (client >= 0)
			close(client);
	}
}

/* ---- the client ---- */

static int connect_tcp(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	char host[64];
	unsigned short port;

	if (sscanf(address, "%63[0-9.]:%hu", host, &port) != 2 || inet_pton(AF_INET, host, &to.sin_addr) != 1) {
		fprintf(stderr, "labsh: '%s' is no ADDRESS:PORT\n", address);
		exit(FAILED);
	}
	to.sin_port = htons(port);
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)), "cannot reach the host");
	return fd;
}

static void ask(int fd, uint32_t cid, char **words)
{
	struct request r = { .cid = cid };
	char *at = buf;

	for (; *words; words++) {
		size_t len = strlen(*words) + 1;

		if (len > (size_t)(buf + sizeof(buf) - at)) {
			fprintf(stderr, "labsh: the command is too long\n");
			exit(FAILED);
		}
		at = (char *)memcpy(at, *words, len) + len;
	}
	r.len = (uint32_t)(at - buf);
	if (!write_all(fd, &r, sizeof(r)) || !write_all(fd, buf, r.len))
		must(-1, "cannot ask");
}

/* One frame of the server's. Its exit status, or -1: there is more to come. */
static int take(int fd)
{
	uint32_t status;
	struct frame f;

	if (!read_all(fd, &f, sizeof(f)) || f.len > sizeof(buf) || !read_all(fd, buf, f.len)) {
		fprintf(stderr, "labsh: the machine is gone\n");
		exit(FAILED);
	}
	if (f.stream == STREAM_EXIT) {
		memcpy(&status, buf, sizeof(status));
		return (int)status;
	}
	write_all(f.stream == STREAM_STDERR ? STDERR_FILENO : STDOUT_FILENO, buf, f.len);
	return -1;
}

static int run(const char *address, const char *cid, char **words)
{
	int fd = connect_tcp(address), status;
	pid_t feeder;

	ask(fd, (uint32_t)strtoul(cid, NULL, 10), words);
	feeder = fork_mortal();
	if (!feeder) {
		while (pass(STDIN_FILENO, fd, STREAM_STDIN))
			;
		send_frame(fd, STREAM_STDIN, NULL, 0);
		_exit(0);
	}
	while ((status = take(fd)) < 0)
		;
	end(feeder);
	return status;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve") && !strcmp(argv[2], "tcp"))
		serve(listen_tcp((unsigned short)atoi(argv[3])));
	if (argc == 4 && !strcmp(argv[1], "serve") && !strcmp(argv[2], "vsock"))
		serve(listen_vsock((unsigned int)atoi(argv[3])));
	if (argc > 4 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], argv + 4);
	fprintf(stderr, "usage: labsh serve tcp|vsock PORT | run ADDRESS:PORT CID COMMAND [ARG...]\n");
	return FAILED;
}
