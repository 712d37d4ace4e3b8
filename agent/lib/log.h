/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one way to say something. A line on stderr per message, "nestord: <room>: text", with the
 * journal's priority in front where stderr is the journal. A message is never waited for: what standard error does not accept
 * at once is dropped and counted, and the next line that it accepts reports how many were.
 */
#ifndef NESTOR_LOG_H
#define NESTOR_LOG_H

#include <stdarg.h>

#include <bpf/libbpf.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * @program stands in front of each line. Messages above @level are not written. Opens standard error again, so call it before
 * a sandbox takes /proc away.
 */
void log_open(const char *program, enum log_level level);
/* For a user's own program, which serves nobody else: messages wait until they are read. */
void log_may_wait(void);
void log_set_level(enum log_level level);
/* 0 and *@ret_level, or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);

/*
 * Returns @err (0 or -errno), so that reporting and returning are one statement:
 *	return log_error(-errno, "blkio: cannot open %s: %m", path);
 * %m is errno as it was at the call.
 */
int log_at(enum log_level level, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(err, ...) log_at(LOG_LEVEL_ERROR, err, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, 0, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, 0, __VA_ARGS__)

/* Messages of this process that standard error did not accept. */
unsigned long long log_dropped(void);

/* The last error said: the reason that `nestorctl rooms` gives for a room that did not start. */
const char *log_last_error(void);

/* libbpf's messages, one level quieter than libbpf thinks. Install it with libbpf_set_print(). */
int log_libbpf(enum libbpf_print_level level, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

#endif
