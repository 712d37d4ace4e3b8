// SPDX-License-Identifier: GPL-2.0
/*
 * The process that talks to the network. It has two descriptors, the listening socket and a socket to
 * nestord, and no way to get another. A request becomes a number for nestord, an answer is a memfd.
 *
 * A connection is ours until the head of its request is complete and well formed. Only then does
 * libmicrohttpd get to see it, and parses and answers it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/lib/buf.h"
#include "agent/http/http.h"
#include "agent/http/head.h"
#include "agent/http/route.h"
#include "agent/lib/log.h"
#include "agent/lib/ipc.h"
#include "agent/http/sandbox.h"
#include "agent/lib/util.h"

/*
 * A connection serves one request. However slow its client is, it costs others nothing: each queue has
 * room for so many, the oldest makes room for a new one, and none stays longer than LIFE_NS. A
 * connection that is answered holds the text of the answer, so there are fewer of those.
 */
#define READING_MAX 500
#define ANSWERING_MAX 64
#define LIFE_NS (10ULL * 1000000000)
#define IDLE_SECONDS 5
#define HEAD_MAX (8 * 1024) /* request line and headers */
#define MEMORY_MAX (32 * 1024) /* what libmicrohttpd makes of them */
#define BACKEND_TIMEOUT_MS 5000

struct connection {
	TAILQ_ENTRY(connection) entry;
	struct queue *queue; /* NULL: it was cut */
	int fd;
	bool refused; /* it has its answer; what still comes is thrown away */
	__u64 born_ns; /* when it came into this queue */
};

struct queue {
	TAILQ_HEAD(connection_list, connection) list; /* oldest first */
	unsigned int nr, max;
};

static struct queue reading = { .list = TAILQ_HEAD_INITIALIZER(reading.list), .max = READING_MAX };
static struct queue answering = { .list = TAILQ_HEAD_INITIALIZER(answering.list), .max = ANSWERING_MAX };
static const char *allowed_hosts;
static const struct room *const *rooms;
static unsigned int nr_rooms;

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int code, const char *type, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Content-Security-Policy", "default-src 'self'");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned int code, const char *text)
{
	return answer(c, code, "text/plain; charset=utf-8",
		      MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result answer_index(struct MHD_Connection *c)
{
	struct buf text = {};
	enum MHD_Result result;

	http_index(rooms, nr_rooms, &text);
	result = text.failed ? MHD_NO : answer_text(c, MHD_HTTP_OK, text.text);
	buf_free(&text);
	return result;
}

/* The text is a part of this program. */
static enum MHD_Result answer_file(struct MHD_Connection *c, const struct route *r)
{
	return answer(c, MHD_HTTP_OK, r->type,
		      MHD_create_response_from_buffer(r->len, (void *)r->text, MHD_RESPMEM_PERSISTENT));
}

/* nestord answers in turn, so after a time-out as many answers are not for us as came too late. */
static int ask(const struct doc_request *request, int *ret_fd, size_t *ret_len)
{
	static unsigned int late;
	int status, err;

	if (send(HTTPD_BACKEND_FD, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(*request))
		return -EPIPE;
	late++;
	while (!(err = ipc_recv_reply(HTTPD_BACKEND_FD, BACKEND_TIMEOUT_MS, &status, ret_fd, ret_len)) && --late)
		close(*ret_fd);
	if (err)
		return err;
	if (status)
		close(*ret_fd);
	return status;
}

static enum MHD_Result answer_document(struct MHD_Connection *c, const struct route *r)
{
	size_t len;
	int fd, err;

	err = ask(&r->request, &fd, &len);
	if (err == -ENETDOWN)
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "This room is down; /api/v1/rooms says why.\n");
	if (err)
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "The agent does not answer.\n");
	return answer(c, MHD_HTTP_OK, r->type, MHD_create_response_from_fd(len, fd));
}

/* ---- requests ---- */

struct headers {
	unsigned int hosts, lengths;
	const char *host, *length;
	bool encoded;
};

static enum MHD_Result on_header(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct headers *h = data;

	(void)kind;
	if (!strcasecmp(name, MHD_HTTP_HEADER_HOST)) {
		h->hosts++;
		h->host = value ? value : "";
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		h->lengths++;
		h->length = value ? value : "";
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		h->encoded = true;
	}
	return MHD_YES;
}

/* 0 or the status to refuse with. */
static unsigned int check_request(struct MHD_Connection *c, const char *method)
{
	struct headers h = {};

	MHD_get_connection_values(c, MHD_HEADER_KIND, on_header, &h);
	if (h.hosts != 1 || h.lengths > 1)
		return MHD_HTTP_BAD_REQUEST;
	if (!http_host_allowed(h.host, allowed_hosts))
		return MHD_HTTP_FORBIDDEN;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (h.encoded || (h.lengths && strcmp(h.length, "0")))
		return MHD_HTTP_CONTENT_TOO_LARGE;
	return 0;
}

static const char *refusal(unsigned int code)
{
	switch (code) {
	case MHD_HTTP_FORBIDDEN:
		return "This Host is not allowed here; see --allow-host in nestord(8).\n";
	case MHD_HTTP_METHOD_NOT_ALLOWED:
		return "Only GET and HEAD are served.\n";
	case MHD_HTTP_CONTENT_TOO_LARGE:
		return "A request must not have a body.\n";
	default:
		return "A request must have one Host, and not more than one Content-Length.\n";
	}
}

/* Called first when the headers are complete: everything is decided then, no body is ever read. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **request_data)
{
	unsigned int code;
	struct route r;

	(void)data, (void)version, (void)upload, (void)upload_size, (void)request_data;
	code = check_request(c, method);
	if (code)
		return answer_text(c, code, refusal(code));
	r = http_route(url, rooms, nr_rooms);
	switch (r.kind) {
	case ROUTE_INDEX:
		return answer_index(c);
	case ROUTE_FILE:
		return answer_file(c, &r);
	case ROUTE_DOCUMENT:
		return answer_document(c, &r);
	default:
		return answer_text(c, MHD_HTTP_NOT_FOUND, "There is no such page; /api/v1 lists all.\n");
	}
}

/* ---- connections ---- */

static void leave(struct connection *conn)
{
	if (!conn->queue)
		return;
	TAILQ_REMOVE(&conn->queue->list, conn, entry);
	conn->queue->nr--;
	conn->queue = NULL;
}

static void cut(struct connection *conn)
{
	const struct queue *q = conn->queue;

	leave(conn);
	if (q == &answering) {
		shutdown(conn->fd, SHUT_RDWR); /* libmicrohttpd sees the end, and closes it */
		return;
	}
	close(conn->fd);
	free(conn);
}

static struct connection *enter(struct queue *q, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	if (q->nr == q->max)
		cut(TAILQ_FIRST(&q->list));
	conn->fd = fd;
	conn->queue = q;
	conn->born_ns = now_ns();
	TAILQ_INSERT_TAIL(&q->list, conn, entry);
	q->nr++;
	return conn;
}

static void cut_overdue(struct queue *q)
{
	struct connection *conn;
	__u64 now = now_ns();

	while ((conn = TAILQ_FIRST(&q->list)) && now - conn->born_ns > LIFE_NS)
		cut(conn);
}

static void on_connection(void *data, struct MHD_Connection *c, void **ctx, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;

	(void)data;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		*ctx = info ? enter(&answering, info->connect_fd) : NULL;
	} else if (*ctx) {
		leave(*ctx);
		free(*ctx);
	}
}

/* Closing while bytes come in would take the answer away from the client, so it stays until the client is done. */
static void refuse_head(int epoll, struct connection *conn, const char *status)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	char text[128];
	int len;

	len = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
	send(conn->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(conn->fd, SHUT_WR);
	conn->refused = true;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event))
		cut(conn);
}

static void hand_over(struct MHD_Daemon *daemon, int epoll, struct connection *conn)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = conn->fd;

	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	leave(conn);
	free(conn);
	MHD_add_connection(daemon, fd, &nobody, sizeof(nobody)); /* closes it if it cannot */
}

static void on_readable(struct MHD_Daemon *daemon, int epoll, struct connection *conn, bool ended)
{
	char text[HEAD_MAX];
	ssize_t len, head;

	len = recv(conn->fd, text, sizeof(text), conn->refused ? MSG_DONTWAIT : MSG_PEEK | MSG_DONTWAIT);
	if (len <= 0) {
		if (!len || errno != EAGAIN)
			cut(conn);
		return;
	}
	if (conn->refused)
		return;
	head = http_head(text, (size_t)len);
	if (head > 0)
		hand_over(daemon, epoll, conn);
	else if (head < 0)
		refuse_head(epoll, conn, "400 Bad Request");
	else if ((size_t)len == sizeof(text))
		refuse_head(epoll, conn, "431 Request Header Fields Too Large");
	else if (ended)
		cut(conn);
}

static void on_accept(int epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int fd = accept4(HTTPD_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *conn;

	if (fd < 0) {
		if (errno == EMFILE && reading.nr)
			cut(TAILQ_FIRST(&reading.list));
		return;
	}
	conn = enter(&reading, fd);
	if (!conn) {
		close(fd);
		return;
	}
	event.data.ptr = conn;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		cut(conn);
}

static void on_mhd_log(void *data, const char *fmt, va_list args)
{
	char text[256];

	(void)data;
	vsnprintf(text, sizeof(text), fmt, args);
	log_debug("libmicrohttpd: %s", text);
}

static struct MHD_Daemon *start_daemon(void)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, NULL,
				MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned int)ANSWERING_MAX * 2, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_SECONDS,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_SIGPIPE_HANDLED_BY_APP,
				1, /* else it copies documents instead of handing them to sendfile */
				MHD_OPTION_END);
}

/* Waits for the end of nestord, for the listener, for connections that we read, and for libmicrohttpd's own epoll. */
static int start_epoll(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event of_mhd = { .events = EPOLLIN, .data.ptr = &answering };
	struct epoll_event of_listener = { .events = EPOLLIN, .data.ptr = &reading };
	struct epoll_event of_backend = { .events = EPOLLRDHUP, .data.ptr = NULL }; /* answers are waited for elsewhere */
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || !info || epoll_ctl(epoll, EPOLL_CTL_ADD, info->epoll_fd, &of_mhd) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, HTTPD_BACKEND_FD, &of_backend) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, HTTPD_LISTEN_FD, &of_listener))
		return -1;
	return epoll;
}

static int wait_ms(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(daemon, &ms) == MHD_YES && ms < 1000 ? (int)ms : 1000;
}

/* nestord kills a httpd that is silent: it may be stopped, or in a loop. */
static void say_alive(void)
{
	static __u64 last;
	const __u64 now = now_ns();

	if (now - last < HTTPD_ALIVE_NS)
		return;
	last = now;
	send(HTTPD_BACKEND_FD, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One event at a time: it may end any connection, which must then not be looked at. */
static void __attribute__((noreturn)) serve(struct MHD_Daemon *daemon, int epoll)
{
	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(epoll, &event, 1, wait_ms(daemon));

		say_alive();
		if (n == 1 && !event.data.ptr)
			exit(EXIT_SUCCESS); /* nestord is gone, or wants us gone */
		if (n == 1 && event.data.ptr == &reading)
			on_accept(epoll);
		else if (n == 1 && event.data.ptr != &answering)
			on_readable(daemon, epoll, event.data.ptr, event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		MHD_run(daemon);
		cut_overdue(&reading);
		cut_overdue(&answering);
	}
}

int httpd_main(char **argv, const struct room *const *all_rooms, unsigned int nr)
{
	struct MHD_Daemon *daemon;
	int epoll;

	log_open(HTTPD_NAME, LOG_LEVEL_INFO);
	prctl(PR_SET_NAME, HTTPD_NAME); /* exec of /proc/self/exe named it "exe" */
	signal(SIGPIPE, SIG_IGN);
	if (!argv[1] || !argv[2] || !argv[3] || fcntl(HTTPD_BACKEND_FD, F_GETFD) < 0) {
		log_error(0, "is started by nestord alone");
		return EXIT_FAILURE;
	}
	allowed_hosts = argv[3];
	rooms = all_rooms;
	nr_rooms = nr;
	tzset(); /* would read a file later */
	if (sandbox_enter(argv[1], argv[2], HTTPD_BACKEND_FD))
		return EXIT_FAILURE;
	daemon = start_daemon();
	epoll = daemon ? start_epoll(daemon) : -1;
	if (epoll < 0) {
		log_error(0, "libmicrohttpd does not start");
		return EXIT_FAILURE;
	}
	serve(daemon, epoll);
}
