// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <bpf/libbpf.h>

#include "agent/lib/log.h"
#include "agent/lib/util.h"

static const char *program = "nestord";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool to_journal;
static char last_error[256];

#define FD_MIN 64 /* above descriptors whose numbers are fixed */

/* Where lines are written. */
static struct {
	int fd;
	bool is_socket, may_wait;
	bool cut; /* the last line was written in part */
	unsigned long long dropped, unreported; /* messages */
} output = { .fd = STDERR_FILENO };

static const struct {
	const char *name;
	const char *journal; /* sd-daemon(3) prefix */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARNING] = { "warning", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

/* ---- output that never waits ---- */

/*
 * Other processes write to the same standard error, so O_NONBLOCK must not be set on it: a pipe or a terminal is opened a
 * second time. Where that fails, poll() decides alone, and another writer may win the race for the last free space.
 */
static void open_output(void)
{
	struct stat st;
	int fd, high;

	if (output.fd != STDERR_FILENO || fstat(STDERR_FILENO, &st))
		return;
	output.is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
	close_p(&fd);
	if (high >= 0)
		output.fd = high;
}

/* As many bytes as standard error accepts now, -1: none. A pipe without readers would raise SIGPIPE. */
static ssize_t write_now(const char *text, size_t len)
{
	struct pollfd p = { .fd = output.fd, .events = POLLOUT };

	if (output.may_wait)
		return write(STDERR_FILENO, text, len);
	if (output.is_socket)
		return send(output.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return poll(&p, 1, 0) == 1 && p.revents == POLLOUT ? write(output.fd, text, len) : -1;
}

static bool write_whole(const char *text, size_t len)
{
	ssize_t n = write_now(text, len);

	if (n > 0)
		output.cut = (size_t)n < len;
	return n == (ssize_t)len;
}

static const char *prefix(enum log_level level)
{
	return to_journal ? levels[level].journal : "";
}

static bool report_dropped(void)
{
	char text[256];
	int len;

	if (!output.unreported)
		return true;
	len = snprintf(text, sizeof(text), "%s%s%s: dropped %llu log messages: standard error was not read\n",
		       output.cut ? "\n" : "", prefix(LOG_LEVEL_WARNING), program, output.unreported);
	if (!write_whole(text, (size_t)len))
		return false;
	output.unreported = 0;
	return true;
}

/* At most PIPE_BUF bytes: a pipe accepts such a line whole or not at all. */
static void log_line(enum log_level level, const char *text)
{
	char line[PIPE_BUF];
	int len = snprintf(line, sizeof(line) - 1, "%s%s: %.*s", prefix(level), program, (int)strcspn(text, "\n"), text);

	if (len > (int)sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	line[len++] = '\n';
	if (report_dropped() && write_whole(line, (size_t)len))
		return;
	output.dropped++;
	output.unreported++;
}

unsigned long long log_dropped(void)
{
	return output.dropped;
}

/* ---- messages ---- */

void log_open(const char *name, enum log_level level)
{
	program = name;
	max_level = level;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
	open_output();
}

void log_may_wait(void)
{
	output.may_wait = true;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!strcasecmp(name, levels[i].name)) {
			*ret_level = i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_at(enum log_level level, int err, const char *fmt, ...)
{
	int saved = errno;
	char text[1024];
	va_list args;

	if (level > max_level)
		return err;
	va_start(args, fmt);
	errno = saved;
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (level == LOG_LEVEL_ERROR)
		snprintf(last_error, sizeof(last_error), "%.*s", (int)sizeof(last_error) - 1, text);
	log_line(level, text);
	return err;
}

const char *log_last_error(void)
{
	return last_error;
}

/* A verifier's log is one message of many lines. */
int log_libbpf(enum libbpf_print_level libbpf_level, const char *fmt, va_list args)
{
	enum log_level level = libbpf_level == LIBBPF_WARN ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	_free_ char *text = NULL;
	char *rest, *line;

	if (level > max_level || vasprintf(&text, fmt, args) < 0)
		return 0;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_line(level, line);
	return 0;
}
