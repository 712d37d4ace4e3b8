// SPDX-License-Identifier: GPL-2.0
/*
 * The process that talks to the network. It has two descriptors, the listening socket and a socket to
 * nestord, and no way to get another. A request becomes a number for nestord, an answer is a memfd.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/http.h"
#include "agent/log.h"
#include "agent/reply.h"
#include "agent/room.h"
#include "agent/sandbox.h"
#include "agent/show.h"
#include "agent/util.h"

/*
 * A connection serves one request. It may live for LIFE_NS whatever it does, and when MANY are open
 * the oldest makes room: slow clients cost others nothing.
 */
#define CONNECTIONS_MAX 1000
#define CONNECTIONS_MANY 500
#define LIFE_NS (20ULL * 1000000000)
#define IDLE_SECONDS 5
#define MEMORY_MAX (16 * 1024) /* request line and headers */
#define BACKEND_TIMEOUT_MS 5000

struct connection {
	TAILQ_ENTRY(connection) entry; /* oldest first */
	int fd;
	__u64 born_ns;
};

static TAILQ_HEAD(, connection) connections = TAILQ_HEAD_INITIALIZER(connections);
static unsigned int nr_connections;
static const char *allowed_hosts;

/* ---- endpoints ---- */

static const struct endpoint {
	const char *path;
	enum document document;
	const char *type;
	const char *doc;
} endpoints[] = {
	{ "/metrics", DOC_METRICS, "text/plain; version=0.0.4; charset=utf-8", "metrics for Prometheus" },
	{ "/healthz", DOC_STATUS, "application/json", "200 while the agent answers" },
	{ "/api/v1/status", DOC_STATUS, "application/json", "the agent" },
	{ "/api/v1/rooms", DOC_ROOMS, "application/json", "its rooms" },
	{ "/api/v1/policy", DOC_POLICY, "application/json", "the policy in force" },
};

static const char room_prefix[] = "/api/v1/";
static const struct endpoint room_endpoint = { NULL, DOC_ROOM, "application/json", NULL };

static const struct endpoint *find_endpoint(const char *url, struct doc_request *request)
{
	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
		if (strcmp(url, endpoints[i].path))
			continue;
		request->document = endpoints[i].document;
		return &endpoints[i];
	}
	if (strncmp(url, room_prefix, strlen(room_prefix)))
		return NULL;
	for (unsigned int i = 0; i < nr_rooms; i++) {
		if (strcmp(url + strlen(room_prefix), rooms[i]->name))
			continue;
		*request = (struct doc_request){ .document = DOC_ROOM, .room = i };
		return &room_endpoint;
	}
	return NULL;
}

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
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), "Nestor " NESTOR_VERSION "\n\n");

	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%-20s %s\n", endpoints[i].path, endpoints[i].doc);
	for (unsigned int i = 0; i < nr_rooms; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%-12s %s\n", room_prefix, rooms[i]->name, rooms[i]->doc);
	return answer_text(c, MHD_HTTP_OK, text);
}

/* nestord answers in turn; what comes after a time-out is the answer to an older question and is dropped. */
static int ask(const struct doc_request *request, int *ret_fd, size_t *ret_len)
{
	int status, err;

	while (!reply_recv(HTTPD_BACKEND_FD, 0, &status, ret_fd, ret_len))
		close(*ret_fd);
	if (send(HTTPD_BACKEND_FD, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request))
		return -EPIPE;
	err = reply_recv(HTTPD_BACKEND_FD, BACKEND_TIMEOUT_MS, &status, ret_fd, ret_len);
	if (err)
		return err;
	if (status)
		close(*ret_fd);
	return status;
}

static enum MHD_Result answer_document(struct MHD_Connection *c, const struct endpoint *e, const struct doc_request *request)
{
	size_t len;
	int fd, err;

	err = ask(request, &fd, &len);
	if (err == -ENETDOWN)
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "This room is down; /api/v1/rooms says why.\n");
	if (err)
		return answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "The agent does not answer.\n");
	return answer(c, MHD_HTTP_OK, e->type, MHD_create_response_from_fd(len, fd));
}

/* ---- requests ---- */

static bool is_listed(const char *host, size_t len, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && !strncasecmp(list, host, len))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/*
 * DNS rebinding needs a name that an attacker owns: an address, localhost and names that the operator
 * listed (--allow-host) are what a browser cannot be tricked into sending here.
 */
static bool host_allowed(const char *host)
{
	size_t len = strcspn(host, host[0] == '[' ? "]" : ":");
	unsigned char address[sizeof(struct in6_addr)];
	char text[64];

	if (is_listed(host, len, "localhost") || is_listed(host, len, allowed_hosts))
		return true;
	if (host[0] == '[') {
		host++;
		len--;
	}
	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

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
static unsigned int check_request(struct MHD_Connection *c, const char *url, const char *method)
{
	struct headers h = {};

	MHD_get_connection_values(c, MHD_HEADER_KIND, on_header, &h);
	if (url[0] != '/' || h.hosts != 1 || h.lengths > 1)
		return MHD_HTTP_BAD_REQUEST;
	if (!host_allowed(h.host))
		return MHD_HTTP_FORBIDDEN;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (h.encoded || (h.lengths && strcmp(h.length, "0")))
		return MHD_HTTP_CONTENT_TOO_LARGE;
	return 0;
}

/* Called first when the headers are complete: everything is decided then, no body is ever read. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **request_data)
{
	struct doc_request request = {};
	const struct endpoint *e;
	unsigned int code;

	(void)data, (void)version, (void)upload, (void)upload_size, (void)request_data;
	code = check_request(c, url, method);
	if (code == MHD_HTTP_FORBIDDEN)
		return answer_text(c, code, "This Host is not allowed here; see --allow-host in nestord(8).\n");
	if (code)
		return answer_text(c, code, "Only GET and HEAD without a body are served.\n");
	if (!strcmp(url, "/"))
		return answer_index(c);
	e = find_endpoint(url, &request);
	if (!e)
		return answer_text(c, MHD_HTTP_NOT_FOUND, "There is no such page; / lists all.\n");
	return answer_document(c, e, &request);
}

/* ---- connections ---- */

static void cut_oldest(void)
{
	struct connection *oldest = TAILQ_FIRST(&connections);

	shutdown(oldest->fd, SHUT_RDWR); /* MHD sees the end and closes it */
	TAILQ_REMOVE(&connections, oldest, entry);
	TAILQ_INSERT_TAIL(&connections, oldest, entry);
	oldest->born_ns = ~0ULL; /* cut once */
}

static void on_connection(void *data, struct MHD_Connection *c, void **ctx, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	struct connection *conn = *ctx;

	(void)data;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!conn)
			return;
		TAILQ_REMOVE(&connections, conn, entry);
		nr_connections--;
		free(conn);
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	conn = calloc(1, sizeof(*conn));
	*ctx = conn;
	if (!conn || !info)
		return;
	conn->fd = info->connect_fd;
	conn->born_ns = now_ns();
	TAILQ_INSERT_TAIL(&connections, conn, entry);
	if (++nr_connections > CONNECTIONS_MANY && TAILQ_FIRST(&connections)->born_ns != ~0ULL)
		cut_oldest();
}

static void cut_overdue(void)
{
	struct connection *conn = TAILQ_FIRST(&connections);
	__u64 now = now_ns();

	while (conn && conn->born_ns != ~0ULL && now - conn->born_ns > LIFE_NS) {
		cut_oldest();
		conn = TAILQ_FIRST(&connections);
	}
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
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, NULL,
				MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, HTTPD_LISTEN_FD,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				(unsigned int)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
				MHD_OPTION_END);
}

int httpd_main(char **argv)
{
	struct MHD_Daemon *daemon;

	log_open(HTTPD_NAME, LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	if (!argv[1] || !argv[2] || !argv[3] || fcntl(HTTPD_BACKEND_FD, F_GETFD) < 0) {
		log_error(0, "is started by nestord alone");
		return EXIT_FAILURE;
	}
	allowed_hosts = argv[3];
	tzset(); /* would read a file later */
	if (sandbox_enter(argv[1], argv[2]))
		return EXIT_FAILURE;
	daemon = start_daemon();
	if (!daemon) {
		log_error(0, "libmicrohttpd does not start");
		return EXIT_FAILURE;
	}
	for (;;) {
		MHD_run_wait(daemon, 1000);
		cut_overdue();
	}
}
