// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "agent/lib/buf.h"
#include "agent/http/http.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/loop.h"
#include "agent/lib/ipc.h"
#include "agent/core/documents.h"
#include "agent/lib/util.h"

#define RESTART_PAUSE_NS 1000000000ULL /* between two starts */
#define END_TIMEOUT_MS 500 /* for httpd to end by itself */
#define SILENCE_NS (8ULL * 1000000000) /* several times HTTPD_ALIVE_NS */
#define BACKEND_BUFFER 8192 /* bytes: a few dozen answers that httpd has not read, each of which keeps its text in memory */

struct http {
	struct agent *agent;
	struct loop *loop;
	struct http_options options;
	char url[128];
	int listen_fd;
	struct source backend; /* our end of the socket pair to httpd; fd -1: no httpd */
	struct source restart; /* timer */
	struct source check; /* timer */
	__u64 started; /* httpd, in ns of CLOCK_MONOTONIC */
	bool heard; /* from httpd, since the last check */
	pid_t pid;
	struct buf out; /* the last answer */
	char empty_dir[PATH_MAX];
};

/* ---- listening ---- */

/* "127.0.0.1:6378", "[::1]:0", ":6378" */
static int split_address(const char *text, char *host, size_t size, const char **ret_port)
{
	const char *colon = strrchr(text, ':'), *from = text;
	bool bracket = text[0] == '[';
	size_t len;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atol(colon + 1) > 65535)
		return log_error(-EINVAL, "--listen %s: must be ADDR:PORT, such as 127.0.0.1:6378", text);
	len = (size_t)(colon - text);
	if (bracket ? len < 3 || colon[-1] != ']' : memchr(text, ':', len) != NULL)
		return log_error(-EINVAL, "--listen %s: an IPv6 address stands in brackets, such as [::1]:6378", text);
	if (bracket) {
		from++;
		len -= 2;
	}
	if (len >= size)
		return log_error(-EINVAL, "--listen %s: the address is too long", text);
	memcpy(host, from, len);
	host[len] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int bind_address(const struct addrinfo *ai, const char *text, int *ret_fd)
{
	_close_ int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return log_error(-errno, "--listen %s: %m", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, SOMAXCONN))
		return log_error(-errno, "cannot listen on %s: %m", text);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int listen_on(const char *text, int *ret_fd)
{
	struct addrinfo *ai, hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const char *port = NULL;
	char host[128];
	int err;

	err = split_address(text, host, sizeof(host), &port);
	if (err)
		return err;
	err = getaddrinfo(*host ? host : NULL, port, &hints, &ai);
	if (err == EAI_NONAME)
		return log_error(-EINVAL, "--listen %s: %s is not an address; names are not looked up", text, host);
	if (err)
		return log_error(-EINVAL, "--listen %s: %s", text, gai_strerror(err));
	err = bind_address(ai, text, ret_fd);
	freeaddrinfo(ai);
	return err;
}

/* systemd's socket if there is one, else our own. */
static int get_listener(const char *text, int *ret_fd)
{
	int n = sd_listen_fds(1);

	if (n > 1)
		return log_error(-EINVAL, "socket activation passed %d sockets; one is served", n);
	if (n < 1)
		return listen_on(text, ret_fd);
	if (!sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1))
		return log_error(-EINVAL, "socket activation passed something that is not a listening stream socket");
	*ret_fd = fcntl(SD_LISTEN_FDS_START, F_DUPFD_CLOEXEC, 64);
	close(SD_LISTEN_FDS_START);
	return *ret_fd < 0 ? log_error(-errno, "socket activation: %m") : 0;
}

static void find_url(struct http *h)
{
	struct sockaddr_storage addr = {};
	socklen_t len = sizeof(addr);
	char host[64] = "?", port[16] = "?";

	if (!getsockname(h->listen_fd, (struct sockaddr *)&addr, &len))
		getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(h->url, sizeof(h->url), strchr(host, ':') ? "http://[%s]:%s/metrics" : "http://%s:%s/metrics", host, port);
}

/* ---- the process ---- */

static void on_request(struct source *s);

static int spawn(struct http *h)
{
	const struct http_options *o = &h->options;
	const char *const argv[] = { HTTPD_NAME, o->user, h->empty_dir, o->allow_hosts, NULL };
	const char *const envp[] = { getenv("JOURNAL_STREAM") ? "JOURNAL_STREAM=1" : NULL, NULL };
	const int fds[] = { CHILD_NULL, CHILD_NULL,
			    STDERR_FILENO, [HTTPD_BACKEND_FD] = CHILD_SOCKET, [HTTPD_LISTEN_FD] = h->listen_fd };
	const int size = BACKEND_BUFFER;
	int err, sock;

	err = child_start(&(struct child){ argv, envp, fds, ARRAY_SIZE(fds) }, &h->pid, &sock);
	if (err)
		return log_error(err, "cannot start httpd: %s", strerror(-err));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	h->heard = true;
	h->started = now_ns();
	h->backend = (struct source){ .fd = sock, .ready = on_request, .data = h };
	err = loop_add(h->loop, &h->backend);
	if (err)
		close_p(&h->backend.fd); /* which ends it */
	return err;
}

static void on_request(struct source *s)
{
	struct http *h = s->data;
	struct doc_request request;
	struct buf *out = &h->out;
	ssize_t n;
	int status;

	n = recv(s->fd, &request, sizeof(request), MSG_DONTWAIT);
	if (n <= 0) { /* it has ended, or closed its side; SIGCHLD does the rest */
		loop_remove(h->loop, s);
		child_kill(h->pid);
		return;
	}
	h->heard = true;
	if (n == 1)
		return;
	buf_reuse(out);
	status = n == sizeof(request) ? documents_make(h->agent, &request, out) : -EBADMSG;
	if (status)
		buf_clear(out);
	status = ipc_send_reply(s->fd, status, out->text ? out->text : "", out->len);
	if (status)
		log_warning("http: cannot answer: %s", strerror(-status));
}

/* What httpd has sent and the loop has not read yet counts, too: it may be the loop that was slow. */
static void on_check(struct source *timer)
{
	struct http *h = timer->data;
	char byte;

	loop_timer_drain(timer->fd);
	if (h->pid > 0 && !h->heard && recv(h->backend.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
		log_warning("http: httpd has been silent for %llu s, killing it", SILENCE_NS / 1000000000);
		child_kill(h->pid);
	}
	h->heard = false;
}

static void on_restart(struct source *timer)
{
	struct http *h = timer->data;

	loop_timer_drain(timer->fd);
	if (spawn(h) && h->pid <= 0)
		loop_timer_rearm(h->restart.fd, RESTART_PAUSE_NS, 0);
}

/* At once, unless one has just been started: one that ends again and again is not to take the processor. */
static void start_again(struct http *h)
{
	__u64 lived = now_ns() - h->started;

	loop_timer_rearm(h->restart.fd, lived < RESTART_PAUSE_NS ? RESTART_PAUSE_NS - lived : 1, 0);
}

void http_reap(struct http *h)
{
	int status;

	if (h->pid <= 0 || child_wait(h->pid, 0, &status))
		return;
	h->pid = 0;
	if (h->backend.fd >= 0)
		loop_remove(h->loop, &h->backend);
	log_warning("http: httpd ended (%s %d), starting it again", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	start_again(h);
}

/* ---- life ---- */

int http_start(struct agent *a, struct loop *loop, const struct http_options *options, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return log_error(-ENOMEM, "out of memory");
	*ret = h; /* http_stop() frees it, also after an error */
	h->agent = a;
	h->loop = loop;
	h->options = *options;
	h->listen_fd = -1;
	h->backend.fd = -1;
	h->restart = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_restart, .data = h };
	h->check = (struct source){ .fd = loop_timer_open(SILENCE_NS, SILENCE_NS), .ready = on_check, .data = h };
	snprintf(h->empty_dir, sizeof(h->empty_dir), "%s/empty", options->run_dir);
	if (mkdir(h->empty_dir, 0555) && errno != EEXIST)
		return log_error(-errno, "cannot make %s: %m", h->empty_dir);
	err = get_listener(options->listen, &h->listen_fd);
	if (err)
		return err;
	find_url(h);
	return loop_add(h->loop, &h->restart) ?: loop_add(h->loop, &h->check) ?: spawn(h);
}

const char *http_url(const struct http *h)
{
	return h->url;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	if (h->backend.fd >= 0)
		loop_remove(h->loop, &h->backend); /* which ends it */
	if (h->pid > 0)
		child_end(h->pid, END_TIMEOUT_MS, NULL);
	loop_remove(h->loop, &h->restart);
	loop_remove(h->loop, &h->check);
	close_p(&h->listen_fd);
	rmdir(h->empty_dir);
	buf_free(&h->out);
	free(h);
}
