/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The HTTP side. Requests from the network are parsed by a process of their own (httpd.c) that can do
 * nothing but answer them; nestord gets a number from it and gives back a text.
 */
#ifndef NESTOR_HTTP_H
#define NESTOR_HTTP_H

struct agent;
struct http;
struct loop;
struct room;

struct http_options {
	const char *listen; /* ADDR:PORT */
	const char *user; /* that httpd becomes */
	const char *allow_hosts; /* comma-separated, may be "" */
	const char *run_dir;
};

/* Listens, and starts httpd, for which documents_make(@a) makes what it serves. 0, or -errno, logged. */
int http_start(struct agent *a, struct loop *loop, const struct http_options *options, struct http **ret);
/* Of the metrics, with the address as it is: port 0 was replaced. */
const char *http_url(const struct http *h);
/* After SIGCHLD: starts httpd again if it died, at most once a second. */
void http_reap(struct http *h);
void http_stop(struct http *h);

/* The process itself: argv[0] of the agent's own binary, and what it finds open. */
#define HTTPD_NAME "nestord-httpd"
/* It sends the agent a byte at least this often, to show that it runs. */
#define HTTPD_ALIVE_NS (2ULL * 1000000000)
enum { HTTPD_BACKEND_FD = 3, HTTPD_LISTEN_FD = 4 };
/* argv: name, user, empty directory, allowed hosts. Returns an exit status. */
int httpd_main(char **argv, const struct room *const *rooms, unsigned int nr_rooms);

#endif
