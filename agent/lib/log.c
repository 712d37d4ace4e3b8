// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <bpf/libbpf.h>

#include "agent/lib/log.h"
#include "agent/lib/util.h"

static const char *program = "nestord";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool to_journal;
static char last_error[256];

static const struct {
	const char *name;
	const char *journal; /* sd-daemon(3) prefix */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARNING] = { "warning", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

void log_open(const char *name, enum log_level level)
{
	program = name;
	max_level = level;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
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

static void log_line(enum log_level level, const char *text)
{
	size_t len = strcspn(text, "\n");

	fprintf(stderr, "%s%s: %.*s\n", to_journal ? levels[level].journal : "", program, (int)len, text);
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
